//! One HTML file with a table and pictures, without scripts and without anything from outside.

use super::text::escaped;
use super::topic::Topic;

/// Colours follow the reader's screen. The drawings have four colours that are not of data
/// (`palette.rs`); a style sheet wins over attributes, so that these turn dark too.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#FFFFFF;--ink:#222222;--faint:#6B6B6B;--grid:#DDDDDD;\
--row:#F4F6F8;--ours:#FBE9EC}\
@media (prefers-color-scheme:dark){:root{--paper:#16181C;--ink:#E6E6E6;--faint:#A2A6AD;\
--grid:#3A3E46;--row:#1E2127;--ours:#3A2229}}\
body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;\
max-width:820px;margin:0 auto;padding:24px 16px 64px}\
h1{font-size:24px;margin:8px 0}h2{font-size:18px;margin:40px 0 4px}\
p{margin:4px 0 12px}.faint{color:var(--faint)}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:4px 12px;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}\
th:first-child,td:first-child{text-align:left}\
.ours td{background:var(--ours);font-weight:600}\
figure{margin:12px 0}svg{max-width:100%;height:auto;display:block}\
svg [fill=\"#FFFFFF\"]{fill:var(--paper)}svg [fill=\"#222222\"]{fill:var(--ink)}\
svg [fill=\"#6B6B6B\"]{fill:var(--faint)}svg [stroke=\"#222222\"]{stroke:var(--ink)}\
svg [stroke=\"#6B6B6B\"]{stroke:var(--faint)}svg [stroke=\"#DDDDDD\"]{stroke:var(--grid)}";

/// What stands on a page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub title: String,
    /// What was measured and how: a line each.
    pub remarks: Vec<String>,
    pub summary: Table,
    pub sections: Vec<Section>,
}

/// A table of words; the first column names the rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub header: Vec<String>,
    /// A row shorter than the header is filled up with empty cells.
    pub rows: Vec<Vec<String>>,
    /// The row to look at first, counted from 0.
    pub emphasised: Option<usize>,
}

/// Pictures under a heading.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    pub heading: String,
    /// One or two sentences for people who do not know the term.
    pub explanation: String,
    /// Drawings as this module makes them; they are taken over as they are.
    pub pictures: Vec<String>,
}

impl Section {
    /// A section with the heading and the explanation of its kind.
    #[must_use]
    pub fn new(topic: Topic, pictures: Vec<String>) -> Section {
        Section {
            heading: topic.heading().to_owned(),
            explanation: topic.explanation().to_owned(),
            pictures,
        }
    }
}

/// The page as the text of an HTML file, which is well-formed XML too. All words are escaped; a table
/// without rows and a section without pictures say so.
#[must_use]
pub fn page(page: &Page) -> String {
    let title = escaped(&page.title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    for remark in &page.remarks {
        paragraph(&mut html, "faint", remark);
    }
    table(&mut html, &page.summary);
    for section in &page.sections {
        element(&mut html, "h2", &section.heading);
        if !section.explanation.is_empty() {
            paragraph(&mut html, "faint", &section.explanation);
        }
        if section.pictures.is_empty() {
            paragraph(&mut html, "none", "There is nothing to draw.");
        }
        for picture in &section.pictures {
            html.extend(["<figure>\n", picture, "</figure>\n"]);
        }
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn element(html: &mut String, name: &str, text: &str) {
    html.extend(["<", name, ">", &escaped(text), "</", name, ">\n"]);
}

fn paragraph(html: &mut String, class: &str, text: &str) {
    html.extend(["<p class=\"", class, "\">", &escaped(text), "</p>\n"]);
}

fn table(html: &mut String, table: &Table) {
    if table.header.is_empty() && table.rows.is_empty() {
        return;
    }
    html.push_str("<div class=\"wide\">\n<table>\n<thead>\n<tr>");
    for cell in &table.header {
        html.extend(["<th>", &escaped(cell), "</th>"]);
    }
    html.push_str("</tr>\n</thead>\n<tbody>\n");
    for (number, row) in table.rows.iter().enumerate() {
        let ours = table.emphasised == Some(number);
        html.push_str(if ours { "<tr class=\"ours\">" } else { "<tr>" });
        for cell in row {
            html.extend(["<td>", &escaped(cell), "</td>"]);
        }
        let missing = table.header.len().saturating_sub(row.len());
        html.push_str(&"<td></td>".repeat(missing));
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
    if table.rows.is_empty() {
        paragraph(html, "none", "There are no rows.");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::{any_text, check};
    use super::*;

    #[test]
    fn words_are_escaped_and_pictures_are_not() {
        let html = page(&Page {
            title: "a < b".to_owned(),
            remarks: vec!["\"c\" & d".to_owned()],
            summary: Table {
                header: vec!["name".to_owned(), "<th>".to_owned()],
                rows: vec![vec!["</td>".to_owned()]],
                emphasised: Some(0),
            },
            sections: vec![Section::new(Topic::Roc, vec!["<svg></svg>".to_owned()])],
        });
        check(&html).unwrap();
        assert!(html.contains("<title>a &lt; b</title>"));
        assert!(html.contains("&quot;c&quot; &amp; d"));
        assert!(html.contains("<tr class=\"ours\"><td>&lt;/td&gt;</td><td></td></tr>"));
        assert!(html.contains("<figure>\n<svg></svg></figure>"));
        assert!(html.contains(&escaped(Topic::Roc.explanation())));
    }

    #[test]
    fn an_empty_page_and_an_empty_section_are_pages() {
        check(&page(&Page::default())).unwrap();
        let html = page(&Page {
            sections: Topic::ALL
                .map(|topic| Section::new(topic, Vec::new()))
                .to_vec(),
            ..Page::default()
        });
        check(&html).unwrap();
        assert_eq!(
            html.matches("There is nothing to draw.").count(),
            Topic::ALL.len()
        );
    }

    proptest! {
        #[test]
        fn any_words_give_a_page(
            title in any_text(),
            heading in any_text(),
            header in prop::collection::vec(any_text(), 0..4),
            rows in prop::collection::vec(prop::collection::vec(any_text(), 0..5), 0..4),
            emphasised in prop::option::of(0_usize..9),
        ) {
            let section = Section {
                explanation: heading.clone(),
                heading,
                pictures: Vec::new(),
            };
            check(&page(&Page {
                remarks: vec![title.clone()],
                title,
                summary: Table { header, rows, emphasised },
                sections: vec![section],
            }))?;
        }
    }
}
