//! Plots as SVG files.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const PANEL: (u32, u32) = (460, 300);
const COLUMNS: usize = 2;

/// A curve: its name, and points of x and y, both above zero.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Shown beside the curve.
    pub name: String,
    /// In ascending order of x.
    pub points: Vec<(f64, f64)>,
}

/// Curves with common axes, both logarithmic.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown, with its unit.
    pub title: String,
    /// What grows.
    pub x: String,
    /// All curves.
    pub curves: Vec<Curve>,
}

/// Draws panels, two in a row, into a new file.
///
/// # Errors
/// When the file cannot be written.
pub fn curves(file: &Path, panels: &[Panel]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * rows as u32);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    for (area, panel) in root.split_evenly((rows, COLUMNS)).iter().zip(panels) {
        draw(area, panel).map_err(failed)?;
    }
    root.present().map_err(failed)
}

fn failed(error: impl Error) -> Box<dyn Error + Send + Sync> {
    format!("cannot draw: {error}").into()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// Half a decade more than the values reach, on both sides.
fn span(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let greatest = values.fold(0.0, f64::max);
    match least.is_finite() && greatest > 0.0 {
        true => least / 2.0..greatest * 2.0,
        false => 1.0..10.0,
    }
}

fn draw<'a>(area: &Area<'a>, panel: &Panel) -> Drawn<'a> {
    let points = panel.curves.iter().flat_map(|curve| &curve.points);
    let (x, y) = (span(points.clone().map(|p| p.0)), span(points.map(|p| p.1)));
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(&panel.x)
        .light_line_style(WHITE)
        .draw()?;
    for (number, curve) in panel.curves.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let points = curve.points.iter().copied();
        chart
            .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)).point_size(3))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
}

/// A group of bars.
#[derive(Debug, Clone)]
pub struct Group {
    /// Below the group.
    pub name: String,
    /// Lengths, in the order of the names given to [`bars`]; zero where there is none.
    pub values: Vec<f64>,
}

/// Draws horizontal bars on a logarithmic scale into a new file.
///
/// # Errors
/// When the file cannot be written.
pub fn bars(
    file: &Path,
    title: &str,
    names: &[String],
    groups: &[Group],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let lines = (names.len() + 1) * groups.len().max(1);
    let root = SVGBackend::new(file, (920, 90 + 11 * lines as u32)).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let values = groups.iter().flat_map(|group| &group.values).copied();
    let values = values.filter(|value| *value > 0.0);
    let least = values.clone().fold(1.0, f64::min) / 1.3;
    let most = values.fold(10.0, f64::max) * 1.3;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(310)
        .build_cartesian_2d((least..most).log_scale(), 0..lines)
        .map_err(failed)?;
    let group_at = |line: usize| {
        let middle = line % (names.len() + 1) == names.len().div_ceil(2);
        let group = groups.len().checked_sub(1 + line / (names.len() + 1));
        group.filter(|_| middle).and_then(|group| groups.get(group))
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(lines + 1)
        .y_label_formatter(&|line| group_at(*line).map_or_else(String::new, |g| g.name.clone()))
        .draw()
        .map_err(failed)?;
    for (number, name) in names.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let bars = groups
            .iter()
            .rev()
            .enumerate()
            .filter_map(|(place, group)| {
                let value = *group.values.get(number).filter(|value| **value > 0.0)?;
                let line = place * (names.len() + 1) + names.len() - 1 - number;
                Some(Rectangle::new(
                    [(least, line), (value, line + 1)],
                    color.filled(),
                ))
            });
        chart
            .draw_series(bars)
            .map_err(failed)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 10, y + 4)], color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(failed)?;
    root.present().map_err(failed)
}
