//! The text layer of a PDF, in the order in which the file draws it.
//!
//! `lopdf` parses; what makes lines and words out of drawing operators is here (PDF 32000-1, sections 9.3 and 9.4): a
//! move to another height starts a line, a gap wider than a quarter of the font size is a space. Bounds: file size
//! ([`super::FILE_BYTES_MAX`]), density and unpacked size ([`super::pdf_guard`]), pages, text length, time. A parser that
//! panics on garbage costs this document only.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::content::{Content, Operation};
use lopdf::{DecompressError, Dictionary, Document, Encoding, LoadOptions, Object, ObjectId};

use super::super::stop::Stop;
use super::pdf_guard::{self, STREAM_BYTES_MAX};
use super::{Error, TEXT_BYTES_MAX};

/// Pages that are read.
pub const PAGES_MAX: usize = 2_000;
/// Objects in the drawing operators of one page.
const PAGE_TOKENS_MAX: usize = 1_000_000;
/// A gap of this part of the font size is a space between words; a space of most fonts is 0.25 to 0.33 wide.
const SPACE_GAP: f32 = 0.17;
/// A move up or down by this part of the font size is another line; less is a super- or subscript.
const LINE_MOVE: f32 = 0.5;
/// The width of a glyph where the font does not tell, as a part of the font size.
const GLYPH_WIDTH: f32 = 0.5;

/// The text of all pages, and how many there are.
///
/// # Errors
/// When it is too large or dense, encrypted, broken, without a text layer, or when told to stop.
pub fn text(bytes: &[u8], stop: &Stop) -> Result<(String, usize), Error> {
    catch_unwind(AssertUnwindSafe(|| read(bytes, stop)))
        .unwrap_or_else(|_| Err(Error::BadPdf("its structure makes no sense".to_owned())))
}

fn read(bytes: &[u8], stop: &Stop) -> Result<(String, usize), Error> {
    pdf_guard::check(bytes)?;
    stop.check()?;
    let mut options = LoadOptions::with_filter(pdf_guard::admit);
    options.max_decompressed_size = Some(STREAM_BYTES_MAX);
    let document = Document::load_mem_with_options(bytes, options).map_err(|e| bad(&e))?;
    if pdf_guard::is_spent() {
        return Err(Error::TooDense);
    }
    let pages = document.get_pages();
    if pages.len() > PAGES_MAX {
        return Err(Error::TooManyPages);
    }
    let mut text = String::new();
    for page in pages.values() {
        stop.check()?;
        let of_page = page_text(&document, *page, TEXT_BYTES_MAX.saturating_sub(text.len()))?;
        if !of_page.is_empty() {
            text.push_str(&of_page);
            text.push_str("\n\n");
        }
    }
    if text.is_empty() {
        return Err(if pages.is_empty() { Error::BadPdf("it has no pages".to_owned()) } else { Error::NoTextLayer });
    }
    text.pop();
    Ok((text, pages.len()))
}

fn bad(error: &lopdf::Error) -> Error {
    if matches!(error, lopdf::Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) {
        return Error::TooDense;
    }
    Error::BadPdf(crate::core::text::shorten(&error.to_string(), 200))
}

fn page_text(document: &Document, page: ObjectId, bytes_max: usize) -> Result<String, Error> {
    let fonts = document.get_page_fonts(page).unwrap_or_default();
    let fonts: BTreeMap<&[u8], Font> =
        fonts.iter().map(|(name, font)| (name.as_slice(), Font::new(document, font))).collect();
    let content = document.get_page_content_with_limit(page, STREAM_BYTES_MAX).map_err(|e| bad(&e))?;
    if pdf_guard::tokens(&content) > PAGE_TOKENS_MAX {
        return Err(Error::TooDense);
    }
    let content = Content::decode(&content).map_err(|e| bad(&e))?;
    let mut pen = Pen { bytes_max, ..Pen::default() };
    for operation in &content.operations {
        pen.draw(operation, &fonts);
        if pen.out.len() > bytes_max {
            return Err(Error::TextTooLong);
        }
    }
    let lines: Vec<&str> = pen.out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(lines.join("\n"))
}

/// A font: how its bytes become characters, and how wide they are.
struct Font<'a> {
    encoding: Option<Encoding<'a>>,
    first: usize,
    /// Thousandths of the font size, from the character code `first` on; empty where the font does not tell.
    widths: Vec<f32>,
    /// Bytes of one character code.
    code_bytes: usize,
}

impl<'a> Font<'a> {
    fn new(document: &'a Document, font: &'a Dictionary) -> Self {
        let number = |object: &Object| document.dereference(object).ok().and_then(|(_, object)| object.as_float().ok());
        let widths = font.get_deref(b"Widths", document).and_then(Object::as_array);
        let is_composite = font.get(b"Subtype").and_then(Object::as_name).is_ok_and(|kind| kind == b"Type0");
        Self {
            encoding: font.get_font_encoding_with_limit(document, STREAM_BYTES_MAX).ok(),
            first: font
                .get(b"FirstChar")
                .and_then(Object::as_i64)
                .ok()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0),
            widths: widths.map(|all| all.iter().map(|w| number(w).unwrap_or(0.0)).collect()).unwrap_or_default(),
            code_bytes: if is_composite { 2 } else { 1 },
        }
    }

    /// The width of `bytes` as a part of the font size.
    fn width(&self, bytes: &[u8]) -> f32 {
        bytes
            .chunks(self.code_bytes)
            .map(|code| {
                let known = code.first().filter(|_| self.code_bytes == 1).and_then(|code| {
                    self.widths.get(usize::from(*code).checked_sub(self.first)?).map(|width| width / 1_000.0)
                });
                known.unwrap_or(GLYPH_WIDTH)
            })
            .sum()
    }
}

/// The state of drawing text.
#[derive(Default)]
struct Pen<'a> {
    out: String,
    bytes_max: usize,
    font: Option<&'a Font<'a>>,
    /// In units of the text space.
    size: f32,
    leading: f32,
    /// The scale of the text matrix.
    scale_x: f32,
    scale_y: f32,
    /// Where the line starts, and where the next glyph goes.
    line: (f32, f32),
    at: (f32, f32),
    /// Where the last glyph ended.
    drawn: Option<(f32, f32)>,
}

impl<'a> Pen<'a> {
    fn draw(&mut self, operation: &Operation, fonts: &'a BTreeMap<&[u8], Font<'a>>) {
        let operands = operation.operands.as_slice();
        let number = |at: usize| operands.get(at).and_then(|operand| operand.as_float().ok()).unwrap_or(0.0);
        match operation.operator.as_str() {
            "BT" => {
                (self.scale_x, self.scale_y) = (1.0, 1.0);
                self.move_to(0.0, 0.0);
            }
            "Tf" => {
                self.font = operands.first().and_then(|name| name.as_name().ok()).and_then(|name| fonts.get(name));
                self.size = number(1).abs();
            }
            "TL" => self.leading = number(0),
            "Td" => self.move_by(number(0), number(1)),
            "TD" => {
                self.leading = -number(1);
                self.move_by(number(0), number(1));
            }
            "Tm" => {
                self.scale_x = number(0).hypot(number(1));
                self.scale_y = number(2).hypot(number(3));
                self.move_to(number(4), number(5));
            }
            "T*" => self.move_by(0.0, -self.leading),
            "Tj" => self.show_all(operands),
            "TJ" => {
                if let Some(Object::Array(pieces)) = operands.first() {
                    self.show_all(pieces);
                }
            }
            "'" => {
                self.move_by(0.0, -self.leading);
                self.show_all(operands);
            }
            "\"" => {
                self.move_by(0.0, -self.leading);
                self.show_all(operands.get(2..).unwrap_or(&[]));
            }
            _ => {}
        }
    }

    fn move_to(&mut self, x: f32, y: f32) {
        self.line = (x, y);
        self.at = self.line;
    }

    fn move_by(&mut self, x: f32, y: f32) {
        self.move_to(self.line.0 + x * self.scale_x, self.line.1 + y * self.scale_y);
    }

    /// Shows strings, and moves by the numbers between them (thousandths of the font size, to the left).
    fn show_all(&mut self, pieces: &[Object]) {
        for piece in pieces {
            match piece {
                Object::String(bytes, _) => self.show(bytes),
                other => self.at.0 -= other.as_float().unwrap_or(0.0) / 1_000.0 * self.size * self.scale_x,
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some((font, encoding)) = self.font.and_then(|font| Some((font, font.encoding.as_ref()?))) else { return };
        let Ok(text) = encoding.bytes_to_string(bytes) else { return };
        // No font encodes more than a few characters a byte; one that does is cut off by the limit at the next check.
        self.separate();
        self.out.extend(text.chars().filter(|c| !c.is_control()).take(self.bytes_max));
        self.at.0 += font.width(bytes) * self.size * self.scale_x;
        self.drawn = Some(self.at);
    }

    /// Writes the line end or the space that lies between what was drawn and what comes.
    fn separate(&mut self) {
        let Some((x, y)) = self.drawn else { return };
        if (self.at.1 - y).abs() > LINE_MOVE * (self.size * self.scale_y).abs() {
            self.out.push('\n');
        } else if self.at.0 - x > SPACE_GAP * self.size * self.scale_x || self.at.0 < x - self.size * self.scale_x {
            self.out.push_str(if self.out.ends_with(' ') { "" } else { " " });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lopdf::{Stream, dictionary};
    use proptest::prelude::*;

    use super::*;

    /// A PDF with one page for each content, in Helvetica.
    fn pdf(contents: &[&str]) -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let pages = document.new_object_id();
        let font = document.add_object(dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
        });
        let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
        let kids: Vec<Object> = contents
            .iter()
            .map(|content| {
                let mut stream = Stream::new(dictionary! {}, content.as_bytes().to_vec());
                stream.compress().unwrap();
                let content = document.add_object(stream);
                let page = dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources };
                document.add_object(page).into()
            })
            .collect();
        let count = i64::try_from(kids.len()).unwrap();
        let root = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
        document.objects.insert(pages, Object::Dictionary(root));
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
        document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(String, usize), Error> {
        let (stop, _waiting) = Stop::after(Duration::from_secs(60));
        text(bytes, &stop)
    }

    #[test]
    fn lines_words_and_pages_come_out_as_they_are_seen() {
        let one = "BT /F1 12 Tf 50 700 Td (First line) Tj 0 -14 Td (second) Tj 100 0 Td (word) Tj ET";
        let two = "BT /F1 10 Tf 12 TL 1 0 0 1 50 700 Tm [(Ker) 20 (ned) -400 (gap)] TJ T* (next) Tj (caf\\351) ' ET";
        assert_eq!(
            read(&pdf(&[one, two])).unwrap(),
            ("First line\nsecond word\n\nKerned gap\nnext\ncafé\n".to_owned(), 2)
        );
    }

    #[test]
    fn a_page_of_pictures_has_no_text_layer_and_the_error_names_what_can_read_it() {
        let error = read(&pdf(&["0 0 100 100 re f"])).unwrap_err();
        assert_eq!(error, Error::NoTextLayer);
        assert!(error.to_string().contains("ocr.pdf"));
    }

    #[test]
    fn garbage_truncation_and_encryption_are_refused_in_words() {
        assert!(matches!(read(b"%PDF-1.7\ngarbage"), Err(Error::BadPdf(_))));
        let whole = pdf(&["BT /F1 12 Tf (x) Tj ET"]);
        assert!(read(&whole[..whole.len() / 3]).is_err());
        let mut locked = whole;
        locked.extend_from_slice(b"\ntrailer << /Encrypt 9 0 R >>");
        assert_eq!(read(&locked), Err(Error::Encrypted));
    }

    #[test]
    fn a_page_that_unpacks_to_more_than_the_limit_is_refused() {
        let bomb = " ".repeat(STREAM_BYTES_MAX + 10);
        let packed = pdf(&[&bomb]);
        assert!(packed.len() < 100_000, "the test must pack well");
        assert_eq!(read(&packed), Err(Error::TooDense));
        let dense = pdf(&[&"0 ".repeat(PAGE_TOKENS_MAX + 10)]);
        assert_eq!(read(&dense), Err(Error::TooDense));
    }

    #[test]
    fn a_long_document_stops_at_once_when_nobody_waits() {
        let (stop, waiting) = Stop::after(Duration::from_secs(60));
        drop(waiting);
        let outcome = text(&pdf(&["BT /F1 12 Tf (x) Tj ET"]), &stop);
        assert!(matches!(outcome, Err(Error::Stopped(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_document_never_brings_the_program_down(at in 0usize..900, byte in any::<u8>(), cut in 0usize..900) {
            let mut bytes = pdf(&["BT /F1 12 Tf 50 700 Td (Some text) Tj ET"]);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
