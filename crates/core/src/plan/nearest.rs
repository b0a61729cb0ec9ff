//! Labels that look like a misspelt one.

/// Of `labels` the `count` nearest to `wanted`, nearest first: by how many single-character edits (a swap of neighbours
/// counts as one) lead from one to the other, then in the order of labels. What shares too little with it is left out.
///
/// Time is proportional to the labels' total length times that of `wanted`.
#[must_use]
pub fn nearest<'a>(wanted: &str, labels: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<String> {
    let wanted: Vec<char> = wanted.chars().take(MAX_CHARS).collect();
    let limit = wanted.len().div_ceil(3).max(2);
    let mut found: Vec<(usize, &str)> = Vec::new();
    for label in labels {
        let distance = edits(&wanted, &label.chars().take(MAX_CHARS).collect::<Vec<_>>(), limit);
        if let Some(distance) = distance {
            found.push((distance, label));
        }
    }
    found.sort_unstable();
    found.into_iter().take(count).map(|(_, label)| label.to_owned()).collect()
}

/// Longer labels are compared by their first characters.
const MAX_CHARS: usize = 200;

/// Optimal string alignment distance, or nothing if it is above `limit`.
fn edits(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        if row.iter().all(|edits| *edits > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|edits| *edits <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_label_finds_its_neighbours() {
        let labels = ["test-linux64-unit-2", "test-linux64-unit-3", "build-linux64", "package"];
        let found = nearest("test-linux64-unti-3", labels, 2);
        assert_eq!(found, ["test-linux64-unit-3", "test-linux64-unit-2"]);
        assert_eq!(nearest("buidl-linux64", labels, 3), ["build-linux64"]);
        assert!(nearest("something-else-entirely", labels, 3).is_empty());
        assert!(nearest("", labels, 3).is_empty());
    }

    #[test]
    fn a_swap_is_one_edit() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(edits(&chars("unti"), &chars("unit"), 3), Some(1));
        assert_eq!(edits(&chars("abc"), &chars("abc"), 3), Some(0));
        assert_eq!(edits(&chars("abc"), &chars("xyz"), 2), None);
    }
}
