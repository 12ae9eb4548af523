//! Damage to texts of JSON, as an attacker or a broken sender does it: the same for the same seed.
//!
//! It knows what members readers of the Model Context Protocol look for, and not whether a damaged text is still sound.
#![expect(clippy::indexing_slicing, reason = "test code fails loudly")]

use crate::rng::Rng;

/// Members that could stand anywhere.
const MEMBERS: [&str; 12] = [
    "\"name\":\"b\"",
    "\"Name\":\"b\"",
    "\"n\\u0061me\":\"b\"",
    "\"x\":[{\"name\":\"b\"}]",
    "\"method\":\"tools/list\"",
    "\"METHOD\":\"tools/list\"",
    "\"params\":{\"name\":\"b\"}",
    "\"tools\":[{\"name\":\"b\"}]",
    "\"result\":{\"tools\":[{\"name\":\"b\"}]}",
    "\"arguments\":{}",
    "\"id\":2",
    "\"y\":{\"z\":null}",
];

/// A text of JSON that differs a little from another one: mostly by a member more, also by a bit, an end, a piece.
pub fn mutate(text: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut text = text.to_owned();
    let at = rng.below(text.len() + 1);
    match rng.below(10) {
        0 if at < text.len() => text[at] ^= 1 << rng.below(8),
        1 => text.truncate(at),
        2 => text.insert(at, rng.bits() as u8),
        3 => {
            let end = rng.between(at, text.len());
            let piece = text[at..end].to_vec();
            let to = rng.below(text.len() + 1);
            drop(text.splice(to..to, piece));
        }
        _ => {
            // Where an object begins, or ends.
            let braces: Vec<usize> =
                (0..text.len()).filter(|at| b"{}".contains(&text[*at])).collect();
            let Some(at) = rng.pick_maybe(&braces).copied() else { return text };
            let member = rng.pick(&MEMBERS);
            let (at, piece) = match text[at] {
                b'{' => (at + 1, format!("{member},")),
                _ => (at, format!(",{member}")),
            };
            drop(text.splice(at..at, piece.bytes()));
        }
    }
    text
}
