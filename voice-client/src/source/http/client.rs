use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::{ClientConfig, RootCertStore};

use super::HttpError;

/// RFC 9110, section 15.4 leaves the number open; browsers follow 20.
const REDIRECTS: usize = 10;

/// The client of everybody who brings none: HTTP/1.1, the system's CA certificates, up to ten redirects, and the
/// proxies that the environment names (`HTTPS_PROXY` and the like).
pub(super) fn shared() -> Result<Client, HttpError> {
    static CLIENT: OnceLock<Result<Client, HttpError>> = OnceLock::new();
    CLIENT.get_or_init(build).clone()
}

fn build() -> Result<Client, HttpError> {
    let failed = |reason: String| HttpError::Client { reason: reason.into() };
    let mut roots = RootCertStore::empty();
    // Without one, http still works, and https says what is missing.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientBuilder::new()
        .tls_backend_preconfigured(config)
        .redirect(Policy::limited(REDIRECTS))
        // What was asked for may be signed: others need not know it.
        .referer(false)
        .http1_only()
        // What answers "ICY 200 OK" instead of HTTP arrives as HTTP/0.9, and is looked at here.
        .http09_responses()
        .pool_max_idle_per_host(2)
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_nodelay(true)
        .user_agent(concat!("voice-client/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(error.to_string()))
}
