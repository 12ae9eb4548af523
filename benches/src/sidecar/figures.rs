//! What turns came to: medians over the turns, and their ratios.

use super::load::Turn;

/// What one turn came to, or the medians of several.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// CPU time of the server for one answer.
    pub(super) cpu_us: f64,
}

// === impl Figures ===

impl Figures {
    pub(super) fn new(turn: &Turn, cpu_seconds: f64) -> Self {
        let quantile = |share: f64| {
            let at = (turn.took.len() as f64 * share) as usize;
            turn.took.get(at).map_or(0.0, |ns| *ns as f64 / 1_000.0)
        };
        let answers = (turn.answers as f64).max(1.0);
        Self {
            per_second: answers / turn.time.as_secs_f64(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            cpu_us: cpu_seconds * 1_000_000.0 / answers,
        }
    }

    /// The medians, figure by figure.
    pub(super) fn median(figures: &[Self]) -> Self {
        let of = |pick: fn(&Self) -> f64| {
            let mut all: Vec<f64> = figures.iter().map(pick).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self {
            per_second: of(|one| one.per_second),
            p50_us: of(|one| one.p50_us),
            p99_us: of(|one| one.p99_us),
            cpu_us: of(|one| one.cpu_us),
        }
    }

    /// How many times the other's these are.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self {
            per_second: self.per_second / other.per_second,
            p50_us: self.p50_us / other.p50_us,
            p99_us: self.p99_us / other.p99_us,
            cpu_us: self.cpu_us / other.cpu_us,
        }
    }
}
