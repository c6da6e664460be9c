use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// Under which names clients may reach the server.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A server certificate made just now, and the authority that vouches for it.
pub(super) struct Identity {
    /// The authority's certificate, PEM; clients must trust it.
    pub(super) ca: String,
    pub(super) acceptor: TlsAcceptor,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    #[error("making a certificate failed")]
    Certificate(#[from] rcgen::Error),
    #[error("the certificate made was refused")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// `name` is one more address that clients may use.
    pub(super) fn generate(name: &str) -> Result<Self, IdentityError> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "voice-loopback CA");
        let authority_key = KeyPair::generate()?;
        let ca = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let names = NAMES.into_iter().filter(|known| *known != name).chain([name]).map(str::to_owned);
        let mut leaf = CertificateParams::new(names.collect::<Vec<_>>())?;
        leaf.distinguished_name.push(DnType::CommonName, "voice-loopback");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf_key = KeyPair::generate()?;
        let leaf = leaf.signed_by(&leaf_key, &issuer)?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into())?;
        Ok(Self { ca, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
