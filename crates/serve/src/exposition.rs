//! What was counted, in the words of Prometheus.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::Histogram;

/// The media type of an [`Exposition`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of figures is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// The text that Prometheus reads (format 0.0.4), written family by family.
#[derive(Debug)]
pub struct Exposition {
    /// What every name begins with, such as `taskgraft_http_`.
    prefix: &'static str,
    text: String,
}

/// Labels as they stand behind a name: nothing if there are none.
struct Labels<'a>(&'a [(&'a str, &'a str)]);

impl Exposition {
    /// One without any figures; each name in it begins with `prefix`.
    #[must_use]
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::new() }
    }

    /// One figure that stands for itself.
    pub fn single(&mut self, kind: Kind, name: &str, help: &str, value: impl Display) {
        self.family(kind, name, help);
        self.sample(name, &[], value);
    }

    /// Begins a family, whose samples follow; `help` is a sentence without its full stop.
    pub fn family(&mut self, kind: Kind, name: &str, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(kind, name, help);
    }

    /// One figure of the family just begun. Labels are names and values.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        // Writing to a String can't fail.
        let _ = writeln!(self.text, "{}{name}{} {value}", self.prefix, Labels(labels));
    }

    /// A family of histograms, in seconds, each with its labels.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], &'a Histogram)>,
    ) {
        self.head("histogram", name, help);
        let bucket = format!("{name}_bucket");
        for (labels, histogram) in all {
            let mut under = |bound: &str, count: u64| {
                let labels = [labels, &[("le", bound)]].concat();
                self.sample(&bucket, &labels, count);
            };
            for (bound, count) in histogram.buckets() {
                under(&bound.to_string(), count);
            }
            under("+Inf", histogram.all());
            self.sample(&format!("{name}_sum"), labels, histogram.seconds());
            self.sample(&format!("{name}_count"), labels, histogram.all());
        }
    }

    /// All of it.
    #[must_use]
    pub fn text(self) -> String {
        self.text
    }

    fn head(&mut self, kind: &str, name: &str, help: &str) {
        let prefix = self.prefix;
        let _ = writeln!(self.text, "# HELP {prefix}{name} {help}.\n# TYPE {prefix}{name} {kind}");
    }
}

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in self.0 {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            write!(f, "{before}{name}=\"{value}\"")?;
            before = ',';
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut told = Exposition::new("t_");
        told.single(Kind::Gauge, "ready", "Whether it is", 1);
        told.family(Kind::Counter, "runs_total", "Runs, by how");
        told.sample("runs_total", &[("how", "a \"b\"\\\n"), ("n", "2")], 7);
        let expected = "# HELP t_ready Whether it is.\n# TYPE t_ready gauge\nt_ready 1\n\
                        # HELP t_runs_total Runs, by how.\n# TYPE t_runs_total counter\n\
                        t_runs_total{how=\"a \\\"b\\\"\\\\\\n\",n=\"2\"} 7\n";
        assert_eq!(told.text(), expected);
    }

    #[test]
    fn buckets_count_what_took_no_longer() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for millis in [250, 500, 1000, 3000] {
            histogram.add(Duration::from_millis(millis));
        }
        let mut told = Exposition::new("t_");
        told.histograms("seconds", "How long", [(&[("of", "x")][..], &histogram)]);
        let expected = "# HELP t_seconds How long.\n# TYPE t_seconds histogram\n\
                        t_seconds_bucket{of=\"x\",le=\"0.5\"} 2\nt_seconds_bucket{of=\"x\",le=\"2\"} 3\n\
                        t_seconds_bucket{of=\"x\",le=\"+Inf\"} 4\nt_seconds_sum{of=\"x\"} 4.75\n\
                        t_seconds_count{of=\"x\"} 4\n";
        assert_eq!(told.text(), expected);
    }
}
