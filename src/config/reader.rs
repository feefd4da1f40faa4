//! How a setting is declared once and read: the [`settings!`] macro and the reader it walks with.
//!
//! The macro turns one declaration into the public structs, their field docs, and one walk over
//! all keys. Whoever needs the keys takes the walk with a [`Reader`] and looks at the [`Entry`]
//! list it leaves behind: the default file, `config show`, the check for unknown keys. So there is
//! no second table to keep in step.

use std::collections::BTreeMap;

use toml::Value;

use super::kinds::ValueKind;
use super::mistake::{Mistake, Source};

/// A value as somebody gave it.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub source: Source,
    pub value: Value,
}

/// The values given, by key path; for each key in rising precedence.
pub(super) type AllGiven = BTreeMap<&'static str, Vec<Given>>;

/// A key as the walk found it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key's path, such as `retry.initial`.
    pub path: &'static str,
    /// The key's meaning, a line each.
    pub doc: &'static [&'static str],
    /// The values allowed, to follow "must be ".
    pub allowed: String,
    /// The value in the default file if there is no default.
    pub example: &'static str,
    /// The built-in default, without secrets.
    pub default: Option<Value>,
    /// The value in force, without secrets.
    pub value: Option<Value>,
    /// Who set the value in force.
    pub source: Source,
    /// Whether nothing that was given for it is wrong.
    pub sound: bool,
}

impl Entry {
    /// The table it stands in, empty for the top level, and its name there.
    pub fn table_and_name(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or(("", self.path))
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("PRISM_{}", self.path.to_ascii_uppercase().replace('.', "_"))
    }
}

/// Reads what was given, key by key, and keeps account.
#[derive(Debug, Default)]
pub(super) struct Reader {
    given: AllGiven,
    /// The keys, in the order of their declaration.
    pub entries: Vec<Entry>,
    /// The tables with their docs, in the order of their declaration.
    pub tables: Vec<(&'static str, &'static [&'static str])>,
    /// The mistakes in single values.
    pub mistakes: Vec<Mistake>,
}

impl Reader {
    pub fn new(given: AllGiven) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// Notes a table that comes next.
    pub fn table(&mut self, name: &'static str, doc: &'static [&'static str]) {
        self.tables.push((name, doc));
    }

    /// Reads one key. Everything given for it is checked, what is overridden too; the last word
    /// holds. A wrong value becomes a mistake and counts as not given, so that reading goes on.
    pub fn key<K: ValueKind>(
        &mut self,
        path: &'static str,
        doc: &'static [&'static str],
        default: K::Value,
        kind: K,
    ) -> K::Value {
        let printed_default = kind.print(&default);
        let (mut value, mut source, mut sound) = (default, Source::Default, true);
        for given in self.given.remove(path).unwrap_or_default() {
            match kind.parse(&given.value) {
                Ok(parsed) => (value, source) = (parsed, given.source),
                Err(detail) => {
                    sound = false;
                    let separator = if detail.is_empty() { "" } else { "; " };
                    self.mistakes.push(Mistake {
                        key: path.into(),
                        source: given.source,
                        value: Some(kind.show_given(&given.value)),
                        reason: format!("must be {}{separator}{detail}", kind.allowed()),
                    });
                }
            }
        }
        self.entries.push(Entry {
            path,
            doc,
            allowed: kind.allowed(),
            example: kind.example(),
            default: printed_default,
            value: kind.print(&value),
            source,
            sound,
        });
        value
    }
}

/// Declares the settings: `Root { keys } table: Group { keys } …`, each key as
/// `name: Type = default, kind;` under its doc comment. People read that in the API's documentation
/// and in the default file alike.
macro_rules! settings {
    (
        $(#[doc = $root_doc:literal])*
        $Root:ident { $( $(#[doc = $doc:literal])* $key:ident: $Type:ty = $default:expr, $kind:expr; )* }
        $(
            $(#[doc = $table_doc:literal])*
            $table:ident: $Group:ident {
                $( $(#[doc = $sub_doc:literal])* $sub:ident: $SubType:ty = $sub_default:expr, $sub_kind:expr; )*
            }
        )*
    ) => {
        $(#[doc = $root_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Root {
            $( $(#[doc = $doc])* pub $key: $Type, )*
            $( $(#[doc = $table_doc])* pub $table: $Group, )*
        }

        $(
            $(#[doc = $table_doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Group { $( $(#[doc = $sub_doc])* pub $sub: $SubType, )* }
        )*

        impl $Root {
            /// Walks over all keys, in the order of their declaration.
            pub(super) fn read(reader: &mut $crate::config::reader::Reader) -> Self {
                Self {
                    $( $key: reader.key(stringify!($key), &[$($doc),*], $default, $kind), )*
                    $( $table: {
                        reader.table(stringify!($table), &[$($table_doc),*]);
                        $Group { $(
                            $sub: reader.key(
                                concat!(stringify!($table), ".", stringify!($sub)),
                                &[$($sub_doc),*],
                                $sub_default,
                                $sub_kind,
                            ),
                        )* }
                    }, )*
                }
            }
        }
    };
}
pub(super) use settings;
