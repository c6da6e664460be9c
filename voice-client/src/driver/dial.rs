use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::Config;
use crate::dialer::{Dialer, Dialing, Stream};

/// TCP, then TLS with the roots of the configuration.
pub(crate) struct Tls {
    connector: TlsConnector,
}

impl Tls {
    fn new(ca: Option<&[u8]>) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| invalid(format!("the CA is no PEM: {error}")))?;
                    roots.add(certificate).map_err(|error| invalid(format!("the CA is no certificate: {error}")))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(invalid(
                "no CA certificate to trust was found: install the system's, or set Config::ca".into(),
            ));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Dialer for Tls {
    fn dial(&self, host: &str, port: u16) -> Dialing {
        let connector = self.connector.clone();
        let host = host.to_owned();
        Box::pin(async move {
            let name = ServerName::try_from(host.clone()).map_err(|error| invalid(error.to_string()))?;
            let stream = tcp(&host, port).await?;
            let stream = connector.connect(name, stream).await.map_err(|error| {
                io::Error::new(error.kind(), format!("TLS failed ({error}); is the server's CA trusted?"))
            })?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// TCP alone, for `ws://`.
struct Plain;

impl Dialer for Plain {
    fn dial(&self, host: &str, port: u16) -> Dialing {
        let host = host.to_owned();
        Box::pin(async move { Ok(Box::new(tcp(&host, port).await?) as Box<dyn Stream>) })
    }
}

/// A dialer that reports why there is none, at the first dial: construction of a client cannot fail.
struct Broken(String);

impl Dialer for Broken {
    fn dial(&self, _host: &str, _port: u16) -> Dialing {
        let text = self.0.clone();
        Box::pin(async move { Err(invalid(text)) })
    }
}

/// The dialer that the configuration asks for.
pub(crate) fn dialer(config: &Config) -> Arc<dyn Dialer> {
    match &config.dialer {
        Some(dialer) => dialer.clone(),
        None if config.plain_ws => Arc::new(Plain),
        None => match Tls::new(config.ca.as_deref()) {
            Ok(tls) => Arc::new(tls),
            Err(error) => Arc::new(Broken(error.to_string())),
        },
    }
}
