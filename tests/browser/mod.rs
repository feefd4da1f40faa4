//! The page in a real browser: Chromium, headless, through chromedriver.
//!
//! | file | what it does |
//! |---|---|
//! | `driver`, `leash` | a chromedriver of the test's own, killed with all its browsers |
//! | `chrome` | a browser: opening, reading, screenshots, and what its console said |
//! | `find` | elements by role and accessible name; typing, clicking, keys |
//! | `axe` | accessibility, as axe-core finds it (`install` gets it) |
//! | `paths` | where things are on the page |
//! | the others | tests |

mod axe;
mod chrome;
mod driver;
mod find;
mod paths;

mod attempt;
mod dead_letters;
mod form;
mod hostile;
mod log;
mod looks;
mod narrow;
mod selftest;
mod session;
mod settings;
mod site;
mod walk;
