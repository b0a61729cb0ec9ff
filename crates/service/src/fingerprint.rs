//! What is the same for equal things only.

use ring::digest::{Context, SHA256};

/// The digits of a hash over these parts. No two lists of parts are the same bytes, however their parts end.
pub(crate) fn fingerprint<const N: usize>(parts: [&[u8]; N]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // Lengths first.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
