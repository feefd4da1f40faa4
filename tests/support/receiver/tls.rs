//! A certificate of the receiver's own.

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A self-signed certificate for `localhost` and 127.0.0.1, with its key.
pub struct Identity {
    certified: CertifiedKey<KeyPair>,
    pem: String,
}

impl Identity {
    pub fn generate() -> Self {
        let names = ["localhost", "127.0.0.1"].map(String::from);
        let certified = generate_simple_self_signed(names).expect("valid names");
        let pem = certified.cert.pem();
        Self { certified, pem }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivatePkcs8KeyDer::from(self.certified.signing_key.serialize_der());
        // Named, since more than one provider may be compiled in.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certified.cert.der().clone()],
                PrivateKeyDer::from(key),
            )
            .expect("a certificate and its own key");
        TlsAcceptor::from(Arc::new(config))
    }
}
