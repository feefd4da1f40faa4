//! The cryptography behind TLS: one provider for everything in the process.

/// Makes *ring* the process's provider of cryptography for rustls, unless there is one already.
/// May be called any number of times; whatever opens TLS connections calls it first.
pub fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error says that another thread was faster, with this same provider or its own choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_leaves_a_provider_in_place() {
        install_crypto();
        install_crypto();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
