//! An OIDC token endpoint of a test's own: https, RS256, and failing in whichever way it is told to.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Grants a token that lives for so many seconds.
    Grants(u64),
    /// Answers with this status, and an error that repeats the credentials.
    Refuses(u16),
    /// Takes the request, and never answers.
    Silent,
}

pub struct TokenEndpoint {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    key: PKey<Private>,
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    granted: AtomicUsize,
    requests: Mutex<Vec<(String, String)>>,
    ended: AtomicBool,
}

/// The audience and the subject of its tokens.
pub const AUDIENCE: &str = "kafka";
pub const SUBJECT: &str = "bridge";

impl TokenEndpoint {
    /// Serves https with a certificate for `localhost` and its key, PEM.
    pub fn start(certificate: &[u8], key: &[u8], mood: Mood) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        let certificate = X509::from_pem(certificate).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        let key = PKey::private_key_from_pem(key).unwrap();
        acceptor.set_private_key(&key).unwrap();
        let acceptor = Arc::new(acceptor.build());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            key: PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            mood: Mutex::new(mood),
            asked: AtomicUsize::new(0),
            granted: AtomicUsize::new(0),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if shared.ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let (shared, acceptor) = (Arc::clone(&shared), Arc::clone(&acceptor));
                    std::thread::spawn(move || {
                        if let Ok(stream) = acceptor.accept(stream) {
                            shared.serve(stream);
                        }
                    });
                }
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/oauth2/token", self.address.port())
    }

    pub fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// How many tokens it gave.
    pub fn granted(&self) -> usize {
        self.shared.granted.load(Ordering::Relaxed)
    }

    /// Credentials and body of each request.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The key by which its tokens can be checked, as a JSON Web Key Set.
    pub fn keys(&self) -> Value {
        let key = self.shared.key.rsa().unwrap();
        let number =
            |number: &openssl::bn::BigNumRef| BASE64_URL_SAFE_NO_PAD.encode(number.to_vec());
        json!({"keys": [{
            "kty": "RSA", "kid": "test", "alg": "RS256", "use": "sig", "n": number(key.n()), "e": number(key.e()),
        }]})
    }
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let (mut credentials, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "authorization" => {
                    let basic = value.strip_prefix("Basic ").unwrap_or_default();
                    let decoded = BASE64_STANDARD.decode(basic).unwrap_or_default();
                    credentials = String::from_utf8(decoded).unwrap_or_default();
                }
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        self.requests
            .lock()
            .unwrap()
            .push((credentials.clone(), body));
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap();
        let (status, answer) = match mood {
            Mood::Grants(seconds) => {
                self.granted.fetch_add(1, Ordering::Relaxed);
                let token = self.token(seconds);
                (
                    200,
                    json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}),
                )
            }
            Mood::Refuses(status) => (
                status,
                json!({"error": "invalid_client", "error_description": format!("{credentials} is unknown")}),
            ),
            Mood::Silent => {
                // Until the client gives it up.
                let _ = stream.read(&mut [0]);
                return;
            }
        };
        let answer = answer.to_string();
        let _ = write!(
            stream.get_mut(),
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
        let _ = stream.get_mut().flush();
    }

    fn token(&self, seconds: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let until = (now + Duration::from_secs(seconds)).as_secs();
        let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let header = part(json!({"alg": "RS256", "kid": "test", "typ": "JWT"}));
        let claims = json!({"sub": SUBJECT, "aud": AUDIENCE, "iss": "test", "iat": now.as_secs(), "exp": until, "scope": "publish"});
        let signed = format!("{header}.{}", part(claims));
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key).unwrap();
        signer.update(signed.as_bytes()).unwrap();
        let signature = signer.sign_to_vec().unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
