//! Carrying requests: from the journal to their end.
//!
//! ```text
//! journal ─► Fair ─► turn: received ─ground, permit─► ready ─earlier? send─► asked ─┐
//!              ▲                                                                    │ action task
//!              ├──────────── later, with longer and longer pauses ◄── trouble,      ▼
//!              │                                        builds that go on ◄─────────┤
//!              └──────────────────────────────────────────────────────────── Follower: it has ended
//! ```
//!
//! A request is carried in turns. A turn begins with what the journal says and ends when the request waits for something
//! or is at its end; everything that happens in it is written down before the next thing is done. So a turn may be cut off
//! anywhere, and the next one, in this process or another, goes on from there. How many turns run at once is bounded;
//! waiting costs no turn.

mod builds;
mod carrier;
mod count;
mod ending;
mod fair;
mod follower;
mod ground;
mod ledger;
mod schedule;
mod send;
mod sent;
mod setback;
mod turn;
mod undo;

pub use carrier::{Carrier, Parts};
