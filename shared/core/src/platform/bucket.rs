//! A private bucket in S3: URLs that are signed for one request each, for clients and for our own requests.
//!
//! S3's own client would sign as well, and be half of the function that holds it: what is asked here is a few plain requests.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::config::ProvideCredentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, Response, StatusCode};
use tokio::sync::OnceCell;

use super::{aws, http as calls};
use crate::base::clock::Clock;
use crate::base::error::{Error, Result};

/// How long a client's download may wait to begin.
pub const DOWNLOAD_LIFE: Duration = Duration::from_secs(5 * 60);

/// The deadline of one request of our own.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long the signature of one holds.
const OWN_LIFE: Duration = Duration::from_secs(60);
/// Objects that are deleted at the same time.
const AT_ONCE: usize = 16;

const CHECKSUM: &str = "x-amz-checksum-sha256";
const CHECKSUM_MODE: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");
/// All but what stands for itself in a URL's query and in a header's parameter (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A bucket; cloning is cheap. Credentials are read at the first use.
#[derive(Clone)]
pub struct Bucket {
    /// Of the bucket, without a slash at the end: `https://name.s3.region.amazonaws.com`.
    url: Arc<str>,
    access: Arc<OnceCell<SdkConfig>>,
    client: Arc<OnceCell<Client>>,
}

/// The bytes of an object, as they are announced or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub content_type: String,
    /// In bytes.
    pub size: i64,
    /// In hex. What is found has none if it was put there without.
    pub sha256: Option<String>,
}

/// A PUT that its holder may send until it expires, with these headers and the `Content-Length` that every client sends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPut {
    pub url: String,
    pub content_type: String,
    /// `x-amz-checksum-sha256`, in base64.
    pub checksum: String,
}

impl Bucket {
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').into(), access: Arc::default(), client: Arc::default() }
    }

    /// With given credentials, for tests.
    pub fn with_access(url: &str, access: SdkConfig) -> Self {
        Self { access: Arc::new(OnceCell::new_with(Some(access))), ..Self::new(url) }
    }

    /// A PUT of exactly this content: another length, type or checksum has another signature.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there are no credentials; [`Error::Internal`] for a content without a checksum.
    pub async fn sign_put(
        &self,
        key: &str,
        content: &Content,
        now: DateTime<Utc>,
        life: Duration,
    ) -> Result<SignedPut> {
        let checksum = content.sha256.as_deref().and_then(checksum_of).ok_or_else(|| Error::internal("no SHA-256"))?;
        let size = content.size.to_string();
        let headers =
            [("content-length", size.as_str()), ("content-type", &content.content_type), (CHECKSUM, &checksum)];
        let url = self.sign(Method::PUT, &self.address(key), &headers, now, life).await?;
        Ok(SignedPut { url, content_type: content.content_type.clone(), checksum })
    }

    /// A GET that a browser saves under this name.
    ///
    /// # Errors
    /// As [`Bucket::sign_put`].
    pub async fn sign_get(&self, key: &str, file_name: &str, now: DateTime<Utc>, life: Duration) -> Result<String> {
        let disposition = disposition(file_name);
        let disposition = utf8_percent_encode(&disposition, RESERVED);
        let address = format!("{}?response-content-disposition={disposition}", self.address(key));
        self.sign(Method::GET, &address, &[], now, life).await
    }

    /// What is there; None if nothing is.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn head(&self, key: &str) -> Result<Option<Content>> {
        let answer = self.send(Method::HEAD, key, &[CHECKSUM_MODE]).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = accepted(answer)?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Some(Content {
            content_type: header("content-type").unwrap_or_default(),
            size: header("content-length").and_then(|size| size.parse().ok()).unwrap_or(-1),
            sha256: header(CHECKSUM).and_then(|checksum| hex_of(&checksum)),
        }))
    }

    /// Puts an object there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn put(&self, key: &str, content: &Content, bytes: Vec<u8>) -> Result<()> {
        let put = self.sign_put(key, content, Clock::system().now(), OWN_LIFE).await?;
        let client = self.client.get_or_init(async || client()).await;
        let request = client.put(put.url).timeout(OWN_LIFE).header("content-type", put.content_type);
        let answer = request.header(CHECKSUM, put.checksum).body(bytes).send().await;
        accepted(answer.map_err(|error| unavailable(&calls::chain(&error.without_url())))?).map(drop)
    }

    /// Keys that begin like this, at most a thousand, as [`Bucket::delete`] takes them.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let prefix = utf8_percent_encode(prefix, RESERVED);
        let address = format!("{}?encoding-type=url&list-type=2&prefix={prefix}", self.url);
        let answer = accepted(self.send_to(Method::GET, &address, &[]).await?)?;
        let page = answer.text().await.map_err(|error| unavailable(&calls::chain(&error.without_url())))?;
        Ok(page
            .split("<Key>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("</Key>")?.0.replace('+', "%20")))
            .collect())
    }

    /// Deletes what is there, if something is.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        let answer = self.send(Method::DELETE, key, &[]).await?;
        if answer.status() == StatusCode::NOT_FOUND { Ok(()) } else { accepted(answer).map(drop) }
    }

    /// Deletes all that begins like this, page by page. False: it was late before the end.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_below(&self, prefix: &str, is_late: impl Fn() -> bool) -> Result<bool> {
        loop {
            let keys = self.list(prefix).await?;
            if keys.is_empty() {
                return Ok(true);
            }
            let deletions = stream::iter(&keys).map(async |key| self.delete(key).await);
            deletions.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            if is_late() {
                return Ok(false);
            }
        }
    }

    fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }

    async fn send(&self, method: Method, key: &str, headers: &[(&str, &str)]) -> Result<Response> {
        self.send_to(method, &self.address(key), headers).await
    }

    async fn send_to(&self, method: Method, address: &str, headers: &[(&str, &str)]) -> Result<Response> {
        let url = self.sign(method.clone(), address, headers, Clock::system().now(), OWN_LIFE).await?;
        let client = self.client.get_or_init(async || client()).await;
        let request = headers.iter().fold(client.request(method, url), |it, (name, value)| it.header(*name, *value));
        request.send().await.map_err(|error| unavailable(&calls::chain(&error.without_url())))
    }

    /// The address with a signature in its query.
    async fn sign(
        &self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        now: DateTime<Utc>,
        life: Duration,
    ) -> Result<String> {
        let access = self.access.get_or_init(|| aws::config(ATTEMPT)).await;
        let provider = access.credentials_provider().ok_or_else(|| unavailable(&"there are no credentials"))?;
        let identity = provider.provide_credentials().await.map_err(|error| unavailable(&error))?.into();
        let region = access.region().map(ToString::to_string).unwrap_or_default();
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(life);
        // A key is signed as it is written.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let signing = v4::SigningParams::builder().identity(&identity).region(&region).name("s3").time(now.into());
        let signing = signing.settings(settings).build().map_err(Error::internal)?.into();
        let body = SignableBody::UnsignedPayload;
        let signable = SignableRequest::new(method.as_str(), address, headers.iter().copied(), body);
        let (signature, _) = sign(signable.map_err(Error::internal)?, &signing).map_err(Error::internal)?.into_parts();
        let mut request = Request::builder().uri(address).body(()).map_err(Error::internal)?;
        signature.apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }
}

fn client() -> Client {
    calls::client().timeout(ATTEMPT).build().expect("all that it is built of is constant")
}

fn accepted(answer: Response) -> Result<Response> {
    if answer.status().is_success() { Ok(answer) } else { Err(unavailable(&answer.status())) }
}

fn unavailable(cause: &dyn std::fmt::Display) -> Error {
    tracing::error!(%cause, "the bucket cannot be reached");
    Error::Unavailable { detail: "the store of files cannot be reached", retry_after_seconds: 5 }
}

/// `Content-Disposition` (RFC 6266): the name in ASCII for old clients, and as it is.
fn disposition(file_name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '%') || *c == ' ';
    let plain: String = file_name.chars().map(|c| if is_plain(&c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(file_name, RESERVED))
}

/// A SHA-256 as S3 writes it, in base64; None if it is none.
fn checksum_of(hex: &str) -> Option<String> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Vec<u8> = digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (hex.len() == 64).then(|| BASE64_STANDARD.encode(bytes))
}

fn hex_of(checksum: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(checksum).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    async fn bucket() -> Bucket {
        let access = aws::config_at("http://127.0.0.1:9", ATTEMPT).await;
        Bucket::with_access("https://bucket.s3.us-east-1.amazonaws.com/", access)
    }

    fn noon() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().to_utc()
    }

    fn content(size: i64, content_type: &str, sha256: &str) -> Content {
        Content { content_type: content_type.into(), size, sha256: Some(sha256.into()) }
    }

    #[tokio::test]
    async fn a_put_is_signed_for_its_bytes_alone() {
        let sign = async |content: Content| {
            bucket().await.sign_put("t/o/d", &content, noon(), Duration::from_secs(900)).await.unwrap()
        };
        let signed = sign(content(5, "application/pdf", SHA256)).await;
        assert!(signed.url.starts_with("https://bucket.s3.us-east-1.amazonaws.com/t/o/d?X-Amz-"), "{}", signed.url);
        for part in [
            "X-Amz-Expires=900",
            "X-Amz-Date=20260301T120000Z",
            "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256",
            "X-Amz-Credential=test%2F20260301%2Fus-east-1%2Fs3%2Faws4_request",
        ] {
            assert!(signed.url.contains(part), "{} lacks {part}", signed.url);
        }
        assert_eq!(signed.content_type, "application/pdf");
        assert_eq!(signed.checksum, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
        assert_eq!(sign(content(5, "application/pdf", SHA256)).await, signed);
        let another = SHA256.replace('2', "3");
        for content in [
            content(6, "application/pdf", SHA256),
            content(5, "image/png", SHA256),
            content(5, "application/pdf", &another),
        ] {
            assert_ne!(sign(content).await.url, signed.url);
        }
        let unknown = Content { sha256: None, ..content(5, "image/png", SHA256) };
        assert!(bucket().await.sign_put("t/o/d", &unknown, noon(), ATTEMPT).await.is_err());
    }

    #[tokio::test]
    async fn a_download_has_a_name_that_no_header_stumbles_over() {
        let url = bucket().await.sign_get("t/o/d", "POD \"4711\"\u{e9}.pdf", noon(), ATTEMPT).await.unwrap();
        assert!(
            url.contains("?response-content-disposition=attachment%3B%20filename%3D%22POD%20_4711__.pdf%22%3B"),
            "{url}"
        );
        assert_eq!(disposition("../a\r\nb%"), "attachment; filename=\".._a__b_\"; filename*=UTF-8''..%2Fa%0D%0Ab%25");
        assert_eq!(disposition("\u{e9}"), "attachment; filename=\"_\"; filename*=UTF-8''%C3%A9");
    }

    #[test]
    fn a_checksum_is_hex_for_people_and_base64_for_s3() {
        let checksum = checksum_of(SHA256).unwrap();
        assert_eq!(hex_of(&checksum).unwrap(), SHA256);
        for bad in ["", "zz", &SHA256[1..], "no base64 !"] {
            assert_eq!(checksum_of(bad), None);
        }
        assert_eq!(hex_of("no base64 !"), None);
    }
}
