//! TLS for receivers: at least 1.2, verified against the system's authorities or a pinned one, with a client certificate where asked.
//!
//! The cryptography is graviola's, which is Rust and assembly: no C compiler is needed to build for a Mac.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;

use super::secret::{SecretError, read_private};
use super::settings::TlsSettings;

/// TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A certificate file cannot be read.
    #[error("cannot read the certificates {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{path} holds no usable {what}: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The key's file.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The parts do not fit together.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The client's side of TLS.
///
/// # Errors
/// Where a file is missing, open to others, or does not hold what it should.
pub fn client_config(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls_graviola::default_provider());
    // Both versions that rustls knows: 1.2 and 1.3.
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match &settings.ca_file {
        None => builder.with_platform_verifier()?,
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let pem = read_private(key)?;
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
                .map_err(|error| content(key, "private key", &error))?;
            Ok(builder.with_client_auth_cert(chain, key)?)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path, "certificate", &error))?;
    if found.is_empty() {
        return Err(content(path, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// The error of a PEM reader tells of its form, never of its content.
fn content(path: &Path, what: &'static str, error: &pem::Error) -> TlsError {
    TlsError::Content { path: path.to_owned(), what, why: error.to_string() }
}
