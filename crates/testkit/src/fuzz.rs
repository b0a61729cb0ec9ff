//! Fuzzing on the stable toolchain: a target makes its input of random numbers, and runs as long as there is time.
//!
//! A case that fails names its seed. `TASKGRAFT_FUZZ_SECONDS` is how long each target runs (a second or two without
//! it), `TASKGRAFT_FUZZ_SEED` runs one case.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::rng::{Rng, seed};

/// How long a target runs where nobody says.
const SECONDS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Runs `target` with one seed after the other.
///
/// # Panics
///
/// A case panics; its seed is printed before.
#[expect(clippy::print_stdout, reason = "a test says which seeds it ran with")]
pub fn fuzz(name: &str, target: impl Fn(&mut Rng)) {
    if let Some(seed) = number("TASKGRAFT_FUZZ_SEED") {
        return target(&mut Rng::new(seed));
    }
    let time = Duration::from_secs(number("TASKGRAFT_FUZZ_SECONDS").unwrap_or(SECONDS));
    let (start, first) = (Instant::now(), seed());
    let mut seeds = Rng::new(first);
    let mut cases = 0_u64;
    while cases == 0 || start.elapsed() < time {
        let seed = seeds.draw();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&mut Rng::new(seed)))) {
            println!("{name}: case {cases} fails; TASKGRAFT_FUZZ_SEED={seed} runs it again");
            resume_unwind(panic);
        }
        cases += 1;
    }
    println!("{name}: {cases} cases in {} s from TASKGRAFT_SEED={first}", start.elapsed().as_secs());
}
