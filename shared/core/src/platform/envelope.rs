//! Envelope encryption: each text is encrypted with a data key of its own (AES-256-GCM), and KMS encrypts the data key. The
//! tenant is KMS's encryption context, so that no policy and no mistake opens what is another tenant's.
//!
//! <https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html>

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::aws;
use super::secrets::Secret;
use crate::base::error::Error;
use crate::base::ids::TenantId;

const ATTEMPT: Duration = Duration::from_secs(3);
/// The key of the encryption context, as the template's policies name it.
const CONTEXT: &str = "tenant_id";

/// An encrypted text, to be kept as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// With the tag at its end.
    pub ciphertext: Vec<u8>,
    /// As KMS encrypted it.
    pub data_key: Vec<u8>,
    pub nonce: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("KMS cannot be reached: {0}")]
    Unavailable(String),
    /// It was sealed for another tenant or bound to something else, or it was changed.
    #[error("the envelope does not open")]
    Closed,
}

impl From<EnvelopeError> for Error {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Unavailable(_) => {
                tracing::error!(%error, "no data key");
                Self::Unavailable { detail: "the key service cannot be reached", retry_after_seconds: 5 }
            }
            EnvelopeError::Closed => Self::internal(error),
        }
    }
}

/// A key in KMS; cloning is cheap. The client is made at the first use.
#[derive(Debug, Clone)]
pub struct Envelope {
    kms_key: Arc<str>,
    client: Arc<OnceCell<Client>>,
}

impl Envelope {
    /// `kms_key` is its ARN.
    pub fn new(kms_key: &str) -> Self {
        Self { kms_key: kms_key.into(), client: Arc::default() }
    }

    /// With a given client, for tests and tools.
    pub fn with_client(kms_key: &str, client: Client) -> Self {
        Self { kms_key: kms_key.into(), client: Arc::new(OnceCell::new_with(Some(client))) }
    }

    /// Encrypts for a tenant. What the text is `bound` to must be said again to open it: a ciphertext that was moved to
    /// another row is of no use there.
    ///
    /// # Errors
    /// [`EnvelopeError::Unavailable`].
    pub async fn seal(&self, tenant: TenantId, bound: &[String], text: &Secret) -> Result<Sealed, EnvelopeError> {
        let made = self.client().await.generate_data_key().key_id(&*self.kms_key).key_spec(DataKeySpec::Aes256);
        let made = made.encryption_context(CONTEXT, tenant.to_string()).send().await;
        let made = made.map_err(|error| unavailable(&aws::reason(&error)))?;
        let (Some(data_key), Some(encrypted)) = (made.plaintext, made.ciphertext_blob) else {
            return Err(unavailable(&"it made no key"));
        };
        let data_key = Zeroizing::new(data_key.into_inner());
        let mut in_out = text.expose().as_bytes().to_vec();
        let nonce = key(&data_key)?.seal_in_place_append_tag(associated(tenant, bound), &mut in_out);
        let nonce = nonce.map_err(|_| EnvelopeError::Closed)?;
        Ok(Sealed { ciphertext: in_out, data_key: encrypted.into_inner(), nonce: nonce.as_ref().to_vec() })
    }

    /// # Errors
    /// [`EnvelopeError::Closed`] unless tenant and `bound` are those that it was sealed with;
    /// [`EnvelopeError::Unavailable`].
    pub async fn open(&self, tenant: TenantId, bound: &[String], sealed: &Sealed) -> Result<Secret, EnvelopeError> {
        let opened = self.client().await.decrypt().key_id(&*self.kms_key);
        let opened = opened.ciphertext_blob(Blob::new(sealed.data_key.clone()));
        let opened =
            opened.encryption_context(CONTEXT, tenant.to_string()).send().await.map_err(|error| {
                match error.as_service_error() {
                    Some(DecryptError::InvalidCiphertextException(_) | DecryptError::IncorrectKeyException(_)) => {
                        EnvelopeError::Closed
                    }
                    _ => unavailable(&aws::reason(&error)),
                }
            })?;
        let data_key = opened.plaintext.ok_or_else(|| unavailable(&"it returned no key"))?;
        let data_key = Zeroizing::new(data_key.into_inner());
        let nonce: [u8; NONCE_LEN] = sealed.nonce.as_slice().try_into().map_err(|_| EnvelopeError::Closed)?;
        let mut in_out = Zeroizing::new(sealed.ciphertext.clone());
        let text = key(&data_key)?.open_in_place(Nonce::from(&nonce), associated(tenant, bound), &mut in_out);
        let text = text.map_err(|_| EnvelopeError::Closed)?;
        std::str::from_utf8(text).map(Secret::new).map_err(|_| EnvelopeError::Closed)
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&aws::config(ATTEMPT).await)).await
    }
}

fn key(data_key: &[u8]) -> Result<RandomizedNonceKey, EnvelopeError> {
    RandomizedNonceKey::new(&AES_256_GCM, data_key).map_err(|_| unavailable(&"its key is not of 256 bits"))
}

/// A JSON array: no two lists of parts read the same.
fn associated(tenant: TenantId, bound: &[String]) -> Aad<String> {
    Aad::from(serde_json::json!([tenant, bound]).to_string())
}

fn unavailable(reason: &dyn std::fmt::Display) -> EnvelopeError {
    EnvelopeError::Unavailable(reason.to_string())
}

#[cfg(test)]
mod tests {
    use carhaul_testkit::Kms;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn an_envelope_opens_for_its_tenant_bound_as_it_was_and_unchanged_alone() {
        let kms = Kms::start().await;
        let envelope = Envelope::with_client(Kms::KEY, kms.client());
        let (tenant, other) = (TenantId(Uuid::now_v7()), TenantId(Uuid::now_v7()));
        let bound = ["a".to_owned(), "b".to_owned()];
        let text = Secret::new("sk-of-a-tenant");
        let sealed = envelope.seal(tenant, &bound, &text).await.unwrap();
        assert_eq!(sealed.ciphertext.len(), text.expose().len() + 16);
        assert_eq!(envelope.open(tenant, &bound, &sealed).await.unwrap(), text);

        let again = envelope.seal(tenant, &bound, &text).await.unwrap();
        assert!(
            again.data_key != sealed.data_key && again.nonce != sealed.nonce && again.ciphertext != sealed.ciphertext
        );
        let is_closed = |opened| matches!(opened, Err(EnvelopeError::Closed));
        assert!(is_closed(envelope.open(other, &bound, &sealed).await));
        for otherwise in [vec![], vec!["a".to_owned()], vec!["ab".to_owned()], vec!["b".to_owned(), "a".to_owned()]] {
            assert!(is_closed(envelope.open(tenant, &otherwise, &sealed).await), "{otherwise:?}");
        }
        for byte in 0..sealed.ciphertext.len() {
            let mut changed = sealed.clone();
            changed.ciphertext[byte] ^= 1;
            assert!(is_closed(envelope.open(tenant, &bound, &changed).await), "{byte}");
        }
        for changed in [
            Sealed { nonce: again.nonce.clone(), ..sealed.clone() },
            Sealed { nonce: Vec::new(), ..sealed.clone() },
            Sealed { data_key: again.data_key, ..sealed.clone() },
            Sealed { data_key: vec![1, 2, 3], ..sealed.clone() },
            Sealed { ciphertext: Vec::new(), ..sealed.clone() },
        ] {
            assert!(is_closed(envelope.open(tenant, &bound, &changed).await), "{changed:?}");
        }
        kms.go_down(true);
        assert!(matches!(envelope.open(tenant, &bound, &sealed).await, Err(EnvelopeError::Unavailable(_))));
        assert!(matches!(envelope.seal(tenant, &bound, &text).await, Err(EnvelopeError::Unavailable(_))));
    }
}
