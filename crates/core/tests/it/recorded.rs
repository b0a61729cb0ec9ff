//! What the reference made of real graphs, as recorded in `../shared/data`: the same verdicts, the same labels and the
//! same bytes have to come out here.

mod actions;
mod decisions;
mod example;
mod offered;
mod optimisations;
mod planned;
mod run;
