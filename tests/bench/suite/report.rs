//! What was measured: one table of ratios, and the same as JSON.

use super::machine::Machine;
use serde::Serialize;

/// One figure.
#[derive(Serialize)]
pub struct Figure {
    row: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratios: Vec<Ratio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
}

#[derive(Serialize)]
struct Ratio {
    to: &'static str,
    value: f64,
}

#[derive(Serialize)]
struct Target {
    said: String,
    met: bool,
}

#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    figures: Vec<Figure>,
}

impl Report {
    pub fn new() -> Self {
        let machine = Machine::here();
        eprintln!("{machine}");
        Self {
            machine,
            figures: Vec::new(),
        }
    }

    /// Notes a figure; what is chained to it belongs to it.
    pub fn add(
        &mut self,
        row: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> &mut Figure {
        let what = what.into();
        eprintln!("  {row}: {what}: {} {unit}", digits(value));
        self.figures.push(Figure {
            row,
            what,
            value,
            unit,
            ratios: Vec::new(),
            target: None,
        });
        self.figures.last_mut().unwrap()
    }

    pub fn print(&self) {
        println!("\n{}\n", self.machine);
        let width = self.figures.iter().map(|it| it.what.len()).max();
        let width = width.unwrap_or(0);
        let mut row = "";
        for figure in &self.figures {
            if figure.row != row {
                row = figure.row;
                println!("{row}");
            }
            let ratios = figure.ratios.iter();
            let ratios: Vec<String> = ratios
                .map(|ratio| format!("{:.2}× {}", ratio.value, ratio.to))
                .collect();
            let target = figure.target.as_ref().map_or(String::new(), |target| {
                let verdict = if target.met { "holds" } else { "MISSED" };
                format!("   [target {}: {verdict}]", target.said)
            });
            println!(
                "  {:width$}  {:>9} {:7} {}{target}",
                figure.what,
                digits(figure.value),
                figure.unit,
                ratios.join(", ")
            );
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap() + "\n"
    }
}

impl Figure {
    /// How many times `other` it is.
    pub fn of(&mut self, to: &'static str, other: f64) -> &mut Self {
        let value = self.value / other;
        self.ratios.push(Ratio { to, value });
        self
    }

    /// A target for the figure itself.
    pub fn at_most(&mut self, limit: f64) -> &mut Self {
        self.target(limit, "≤", self.value <= limit, self.unit)
    }

    /// A target for the last ratio.
    pub fn ratio_at_most(&mut self, limit: f64) -> &mut Self {
        let value = self.ratios.last().unwrap().value;
        self.target(limit, "≤", value <= limit, "×")
    }

    pub fn ratio_at_least(&mut self, limit: f64) -> &mut Self {
        let value = self.ratios.last().unwrap().value;
        self.target(limit, "≥", value >= limit, "×")
    }

    fn target(&mut self, limit: f64, sign: &str, met: bool, unit: &str) -> &mut Self {
        let said = format!("{sign} {} {unit}", digits(limit));
        let (said, met) = match self.target.take() {
            None => (said, met),
            Some(other) => (format!("{} and {said}", other.said), other.met && met),
        };
        self.target = Some(Target { said, met });
        self
    }
}

/// Three digits that count, or all before the point.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
