//! Tokens of an issuer that a proxy in tests trusts, signed by Python's standard library and not by code of ours.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use serde_json::{Value, json};

use crate::parts;

/// The issuer's secret.
pub const SECRET: &str = "a-secret-of-this-test-and-of-nobody-else-0123456789";
/// The issuer's name.
pub const ISSUER: &str = "https://issuer.example";

/// Base64 as tokens and keys have it.
pub fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let group = group << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(DIGITS[(group >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

/// Signs what is in a file, a line of claims a token, with a secret.
const SIGN: &str = "import base64,hashlib,hmac,json,sys\n\
    e=lambda b:base64.urlsafe_b64encode(b).rstrip(b'=')\n\
    h=e(json.dumps({'alg':'HS256','kid':'k','typ':'JWT'}).encode())\n\
    for line in open(sys.argv[1],encoding='utf-8'):\n \
    p=e(line.strip().encode())\n \
    print((h+b'.'+p+b'.'+e(hmac.new(sys.argv[2].encode(),h+b'.'+p,hashlib.sha256).digest())).decode())";

/// A token of the issuer for a subject: good for the rest of the century, for reading, of somebody in two groups.
pub fn token(subject: &str, secret: &str) -> String {
    let claims = json!({ "sub": subject, "scope": "docs:read openid", "groups": ["staff", "all"] });
    signed(&[claims], secret).swap_remove(0)
}

/// A token of the issuer for each of these claims, good for the rest of the century.
pub fn tokens(claims: &[Value]) -> Vec<String> {
    signed(claims, SECRET)
}

fn signed(claims: &[Value], secret: &str) -> Vec<String> {
    let mut lines = String::new();
    for claims in claims {
        let mut claims = claims.clone();
        claims["iss"] = ISSUER.into();
        claims["exp"] = 4_102_444_800_u64.into();
        lines.push_str(&format!("{claims}\n"));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let path = file.path().to_str().unwrap();
    parts::run("python3", &["-c", SIGN, path, secret]).lines().map(str::to_owned).collect()
}
