//! Training rows in memory.

/// Rows of cells, row-major, in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    fields: usize,
    cells: Vec<f64>,
}

impl Table {
    /// An empty table whose rows have `fields` cells.
    pub fn new(fields: usize) -> Self {
        Self {
            fields,
            cells: Vec::new(),
        }
    }

    /// Appends a row; it must have as many cells as the table has fields.
    pub fn push(&mut self, row: &[f64]) {
        debug_assert_eq!(row.len(), self.fields);
        self.cells.extend_from_slice(row);
    }

    /// Overwrites row `at`.
    pub fn replace(&mut self, at: usize, row: &[f64]) {
        self.cells[at * self.fields..][..self.fields].copy_from_slice(row);
    }

    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.fields).unwrap_or(0)
    }

    pub fn fields(&self) -> usize {
        self.fields
    }

    pub fn row(&self, at: usize) -> &[f64] {
        &self.cells[at * self.fields..][..self.fields]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[f64]> {
        self.cells.chunks_exact(self.fields.max(1))
    }

    /// The rows at `at`, in that order.
    pub fn select(&self, at: impl Iterator<Item = usize>) -> Table {
        let mut selected = Table::new(self.fields);
        for row in at {
            selected.push(self.row(row));
        }
        selected
    }

    /// The values of one field that are not missing.
    pub fn present(&self, field: usize) -> impl Iterator<Item = f64> {
        self.iter()
            .map(move |row| row[field])
            .filter(|cell| !cell.is_nan())
    }

    /// Replaces the values of one field that are not missing.
    pub fn map_field(&mut self, field: usize, map: impl Fn(f64) -> f64) {
        for row in self.cells.chunks_exact_mut(self.fields) {
            if !row[field].is_nan() {
                row[field] = map(row[field]);
            }
        }
    }
}
