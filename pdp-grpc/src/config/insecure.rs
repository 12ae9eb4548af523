//! Which settings are dangerous together, or contradict each other: found before a server starts, all of them at once.
//!
//! A danger that is wanted is named; it refuses to guess from anything else that somebody meant it.

use std::fmt;

use super::Config;
use crate::access::Who;

/// Rights of a socket file beyond which everybody may connect.
const MODE_FOR_EVERYBODY: u32 = 0o002;
/// All rights that a file can have.
const MODE_MAX: u32 = 0o777;
/// Looking at files more often than this is work for nothing, in milliseconds.
const POLL_MS_MIN: u32 = 10;

/// Dangers that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insecure {
    /// Questions and answers may cross a network where others read and change them.
    pub plaintext_anywhere: bool,
    /// Whoever can connect from another machine is believed what it states about delegation.
    pub trust_anybody: bool,
    /// Every user of this machine may connect to the Unix socket.
    pub socket_for_everybody: bool,
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<String>,
}

// === impl Insecure ===

impl Insecure {
    /// No danger is wanted.
    pub const NOTHING: Self =
        Self { plaintext_anywhere: false, trust_anybody: false, socket_for_everybody: false };
}

// === impl Config ===

impl Config {
    /// Says what is dangerous without being named, what contradicts itself and which limits are outside their ranges, all
    /// at once. Nothing is opened; [`crate::Server::bind`] does it as well.
    ///
    /// # Errors
    ///
    /// When there is anything to say.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems: Vec<String> =
            self.limits.outside().iter().map(ToString::to_string).collect();
        self.check_listener(&mut problems);
        self.check_callers(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    fn check_listener(&self, problems: &mut Vec<String>) {
        let address = self.address;
        let anywhere = self.unix.is_none() && !address.ip().is_loopback();
        if anywhere && self.tls.is_none() && !self.insecure.plaintext_anywhere {
            problems.push(format!(
                "`{address}` is open to other machines without TLS; give a certificate, listen on a loopback address, \
                 or say `plaintext_anywhere`"
            ));
        }
        let trusted = self.trust_delegation
            || self.callers.iter().any(|rule| rule.who == Who::Anybody && rule.trust_delegation);
        if anywhere && trusted && !self.knows_certificates() && !self.insecure.trust_anybody {
            problems.push(format!(
                "whoever reaches `{address}` from another machine is believed what it states about delegation; demand \
                 client certificates, trust certain callers only, or say `trust_anybody`"
            ));
        }
        if let Some(http) = self.http
            && !http.ip().is_loopback()
            && self.tls.is_none()
            && !self.insecure.plaintext_anywhere
        {
            problems.push(format!(
                "`{http}` answers AuthZEN to other machines without TLS; give a certificate, listen on a loopback \
                 address behind a proxy that has one, or say `plaintext_anywhere`"
            ));
        }
        if let Some(url) = &self.public_url
            && !is_base_url(url)
        {
            problems.push(format!(
                "`public_url` is `{url}`; give a URL that begins with `https://` or `http://` and has no query and no \
                 fragment"
            ));
        }
        if let Some(admin) = self.admin
            && !admin.ip().is_loopback()
            && !self.admin_anywhere
        {
            problems.push(format!(
                "`{admin}` would tell other machines what is decided here; listen for operators on a loopback address, or \
                 say `admin_anywhere` where the network lets only operators reach it"
            ));
        }
        if let Some(socket) = &self.unix {
            let (path, mode) = (socket.path.display(), socket.mode);
            if mode > MODE_MAX {
                problems.push(format!(
                    "`{mode:o}` is no mode of the socket `{path}`; give 777 at most"
                ));
            }
            if mode & MODE_FOR_EVERYBODY != 0 && !self.insecure.socket_for_everybody {
                problems.push(format!(
                    "mode `{mode:o}` lets every user of this machine connect to `{path}`; use 660 and a group, or say \
                     `socket_for_everybody`"
                ));
            }
            if self.tls.is_some() && self.http.is_none() {
                problems.push(format!(
                    "the socket `{path}` has no TLS and AuthZEN is off; leave the certificate out"
                ));
            }
        }
        if let Some(tls) = &self.tls
            && tls.poll_ms < POLL_MS_MIN
        {
            let ms = tls.poll_ms;
            problems.push(format!(
                "certificates are looked at every {ms} ms; set `poll_ms` to {POLL_MS_MIN} at least"
            ));
        }
    }

    fn check_callers(&self, problems: &mut Vec<String>) {
        if !self.callers.is_empty() && (self.trust_delegation || self.explain) {
            problems.push(
                "`trust_delegation` and `explain` are said for all callers and there are rules for callers; say them in \
                 the rules"
                    .to_owned(),
            );
        }
        for (at, rule) in (1..).zip(&self.callers) {
            if let Some(problem) = rule.who.problem() {
                problems.push(format!("rule {at} for callers: {problem}"));
            }
            let lacks = match rule.who {
                Who::Spiffe(_) | Who::Dns(_) if !self.knows_certificates() => "client certificates",
                Who::UnixUser(_) if self.unix.is_none() => "a Unix socket",
                _ => continue,
            };
            problems.push(format!(
                "rule {at} for callers can fit nobody, as there is no way to tell: it needs {lacks}"
            ));
        }
    }

    fn knows_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

/// Whether endpoints can be appended to it.
fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let is_plain = |c: char| c.is_ascii_graphic() && !"?#\\\"<>".contains(c);
        !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(is_plain)
    })
}

// === impl ConfigError ===

impl ConfigError {
    /// Each problem, a sentence.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
