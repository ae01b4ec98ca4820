package console

import (
	"bufio"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/seaworthy-dev/seaworthy"
)

// Table is rows under column names. Cells are escaped when it is written; nothing in one can break a line.
type Table struct {
	Columns []Column
	rows    [][]Cell
}

// Column is a column's name and how it is laid out.
type Column struct {
	Name  string
	Right bool // numbers: aligned at the right
	// Shrink lets the column be cut, with "…", when the terminal is too narrow for the table. Elsewhere
	// nothing is ever cut.
	Shrink bool
}

// Cell is text and its style.
type Cell struct {
	Text  string
	Style Style
}

const (
	columnGap = "  "
	// minShrunk is the narrowest a column is cut to, in terminal columns.
	minShrunk = 8
	ellipsis  = "…"
)

// widths counts terminal columns: two for East Asian wide characters, none for combining marks. Characters whose
// width is ambiguous count one, whatever the locale, so that a table is the same everywhere.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

// NewTable makes a table of plain columns.
func NewTable(names ...string) *Table {
	t := &Table{Columns: make([]Column, len(names))}
	for i, name := range names {
		t.Columns[i].Name = name
	}
	return t
}

// Add appends a row of plain cells. Missing cells are empty, cells beyond the last column are left out.
func (t *Table) Add(cells ...string) {
	row := make([]Cell, len(cells))
	for i, text := range cells {
		row[i].Text = text
	}
	t.rows = append(t.rows, row)
}

// AddStyled appends a row of styled cells.
func (t *Table) AddStyled(cells ...Cell) { t.rows = append(t.rows, cells) }

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Write writes the table: a line of names, then the rows, columns padded to the same width and two spaces
// between them, no space at the end of a line. When w is a Stream with a Width, columns that may Shrink are cut
// to fit it.
func (t *Table) Write(w io.Writer) error {
	s := streamOf(w)
	rows := make([][]Cell, 0, len(t.rows)+1)
	header := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		header[i] = Cell{Text: c.Name, Style: Bold}
	}
	rows = append(rows, header)
	for _, row := range t.rows {
		cells := make([]Cell, len(t.Columns))
		for i := range cells {
			if i < len(row) {
				cells[i] = Cell{Text: Escape(row[i].Text), Style: row[i].Style}
			}
		}
		rows = append(rows, cells)
	}
	layout := t.layout(rows, s.Width)
	out := bufio.NewWriter(s)
	for _, row := range rows {
		t.writeRow(out, s, row, layout)
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the table")
}

// layout returns each column's width.
func (t *Table) layout(rows [][]Cell, limit int) []int {
	layout := make([]int, len(t.Columns))
	for _, row := range rows {
		for i, cell := range row {
			layout[i] = max(layout[i], widths.StringWidth(cell.Text))
		}
	}
	if limit <= 0 {
		return layout
	}
	total := len(columnGap) * (len(layout) - 1)
	for _, width := range layout {
		total += width
	}
	for total > limit { // take from the widest column that may give
		widest := -1
		for i, c := range t.Columns {
			if c.Shrink && layout[i] > minShrunk && (widest < 0 || layout[i] > layout[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		// All of what is over, but not below the next widest, so that two long columns give alike.
		floor := minShrunk
		for i, c := range t.Columns {
			if c.Shrink && i != widest && layout[i] < layout[widest] {
				floor = max(floor, layout[i])
			}
		}
		give := max(1, min(total-limit, layout[widest]-floor))
		layout[widest] -= give
		total -= give
	}
	return layout
}

func (t *Table) writeRow(out *bufio.Writer, s *Stream, row []Cell, layout []int) {
	last := len(row) - 1
	for last > 0 && row[last].Text == "" {
		last--
	}
	for i := 0; i <= last; i++ {
		text := row[i].Text
		width := widths.StringWidth(text)
		if width > layout[i] {
			text = widths.Truncate(text, layout[i], ellipsis)
			width = widths.StringWidth(text)
		}
		pad := strings.Repeat(" ", layout[i]-width)
		if i > 0 {
			out.WriteString(columnGap)
		}
		if t.Columns[i].Right {
			out.WriteString(pad)
		}
		out.WriteString(s.Paint(row[i].Style, text))
		if !t.Columns[i].Right && i < last {
			out.WriteString(pad)
		}
	}
	out.WriteByte('\n') // a failed write comes back from Flush
}
