//! Paths that are taken and paths that are not, as a table.

use super::*;
use PathError::*;

#[test]
fn taken_as_they_stand() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a", "/a", ""),
        ("/a/", "/a/", ""),
        ("/a/b.c~d_e-f", "/a/b.c~d_e-f", ""),
        ("/...", "/...", ""),
        ("/a..b", "/a..b", ""),
        ("/.well-known/x", "/.well-known/x", ""),
        ("/a?b=c", "/a", "b=c"),
        ("/a?b?c", "/a", "b?c"),
        ("/a?../../b", "/a", "../../b"),
        ("/a?%2e%2F%00", "/a", "%2e%2F%00"),
        ("/caf%C3%A9", "/caf%C3%A9", ""),
        ("/a%20b", "/a%20b", ""),
        ("/a%22", "/a%22", ""),
        ("/a%7B", "/a%7B", ""),
        ("/a:b@c", "/a:b@c", ""),
        ("/!$&'()*+,=", "/!$&'()*+,=", ""),
        ("/%F0%9F%A6%80", "/%F0%9F%A6%80", ""),
    ] {
        assert_eq!(Target::read(target.as_bytes()), Ok(Target { path, query }), "{target}");
    }
}

#[test]
fn refused() {
    let table: [(&[u8], PathError); 49] = [
        (b"", NotOrigin),
        (b"*", NotOrigin),
        (b"a", NotOrigin),
        (b"?a", NotOrigin),
        (b"http://h/a", NotOrigin),
        (b"%2Fa", NotOrigin),
        (b"\\a", NotOrigin),
        (b"//", EmptySegment),
        (b"//a", EmptySegment),
        (b"/a//b", EmptySegment),
        (b"/a//", EmptySegment),
        (b"/.", DotSegment),
        (b"/..", DotSegment),
        (b"/./a", DotSegment),
        (b"/a/../b", DotSegment),
        (b"/a/..", DotSegment),
        (b"/a/.?b", DotSegment),
        (b"/%2e", LooseEscape),
        (b"/%2E%2E/a", LooseEscape),
        (b"/.%2e/a", LooseEscape),
        (b"/%41", LooseEscape),
        (b"/%7E", LooseEscape),
        (b"/caf%c3%a9", LooseEscape),
        (b"/a%2Fb", HiddenByte(b'/')),
        (b"/a%2fb", HiddenByte(b'/')),
        (b"/a%5Cb", HiddenByte(b'\\')),
        (b"/a%5cb", HiddenByte(b'\\')),
        (b"/a%3Bb", HiddenByte(b';')),
        (b"/a%3F", HiddenByte(b'?')),
        (b"/a%23", HiddenByte(b'#')),
        (b"/a%252Fb", HiddenByte(b'%')),
        (b"/a%25", HiddenByte(b'%')),
        (b"/a%00", HiddenByte(0)),
        (b"/a%0D%0A", HiddenByte(13)),
        (b"/a%7F", HiddenByte(127)),
        (b"/a\\b", Byte(b'\\')),
        (b"/a;b", Byte(b';')),
        (b"/a;/../b", Byte(b';')),
        (b"/a#b", Byte(b'#')),
        (b"/a?b#c", Byte(b'#')),
        (b"/a b", Byte(b' ')),
        (b"/a\0", Byte(0)),
        (b"/a\x7f", Byte(127)),
        (b"/caf\xc3\xa9", Byte(0xC3)),
        (b"/%", CutEscape),
        (b"/%4", CutEscape),
        (b"/%zz", CutEscape),
        (b"/%C0%AF", NotUtf8),
        (b"/%ED%A0%80", NotUtf8),
    ];
    for (target, error) in table {
        assert_eq!(Target::read(target), Err(error), "{}", target.escape_ascii());
    }
    let mut long = vec![b'a'; TARGET_BYTES_MAX + 1];
    if let Some(first) = long.first_mut() {
        *first = b'/';
    }
    assert_eq!(Target::read(&long), Err(TooLong));
}
