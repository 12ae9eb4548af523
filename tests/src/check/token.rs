//! Tokens of an issuer that a proxy in tests trusts, signed by Python's standard library and not by code of ours.

#![expect(clippy::indexing_slicing, reason = "test code fails loudly")]

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

/// A token of the issuer for a subject: good for the rest of the century, for reading, of somebody in two groups.
pub fn token(subject: &str, secret: &str) -> String {
    let script = "import base64,hashlib,hmac,json,sys\n\
        e=lambda b:base64.urlsafe_b64encode(b).rstrip(b'=')\n\
        h=e(json.dumps({'alg':'HS256','kid':'k','typ':'JWT'}).encode())\n\
        p=e(json.dumps({'iss':sys.argv[1],'sub':sys.argv[2],'exp':4102444800,\
        'scope':'docs:read openid','groups':['staff','all']}).encode())\n\
        print((h+b'.'+p+b'.'+e(hmac.new(sys.argv[3].encode(),h+b'.'+p,hashlib.sha256).digest())).decode())";
    parts::run("python3", &["-c", script, ISSUER, subject, secret]).trim().to_owned()
}
