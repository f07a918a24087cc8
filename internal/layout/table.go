package layout

import (
	"fmt"
	"io"
	"strings"
)

// gap separates columns.
const gap = "  "

// leastColumn is the width below which no column of prose becomes narrower: a column of single words is
// harder to read than a second line.
const leastColumn = 20

// A Table collects rows, and writes them in columns.
type Table struct {
	w      io.Writer
	header []string
	rows   [][]string
}

// NewTable returns a table for w with the given header, which may be empty.
func NewTable(w io.Writer, header ...string) *Table {
	return &Table{w: w, header: header}
}

// Row adds a row. The cells are the texts of [fmt.Sprint].
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = fmt.Sprint(cell)
	}
	t.rows = append(t.rows, row)
}

// Flush writes the table. If it is wider than the lines of its writer, the widest columns wrap at their
// spaces. If that is not enough, the first columns that fit stay in line, and what the others have is below
// each row, with its heading.
func (t *Table) Flush() error {
	rows := t.rows
	if len(t.header) > 0 {
		rows = append([][]string{t.header}, rows...)
	}
	if len(rows) == 0 {
		return nil
	}
	width := Width(t.w)
	natural, word := measure(rows)
	var b strings.Builder
	if columns, fits := shrink(natural, word, width); fits {
		for _, row := range rows {
			writeRow(&b, row, columns)
		}
	} else {
		t.fold(&b, natural, width)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// measure returns the width of each column, and that of its longest word.
func measure(rows [][]string) (natural, word []int) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(natural) {
				natural, word = append(natural, 0), append(word, 0)
			}
			natural[i] = max(natural[i], columnsOf(cell))
			for _, w := range strings.Fields(cell) {
				word[i] = max(word[i], columnsOf(w))
			}
		}
	}
	return natural, word
}

// total returns the width of a row.
func total(columns []int) int {
	sum := len(gap) * (len(columns) - 1)
	for _, c := range columns {
		sum += c
	}
	return sum
}

// shrink makes the widest columns narrower until a row fits into a width, and reports whether it does. A
// width of 0 has no end.
func shrink(natural, word []int, width int) ([]int, bool) {
	columns := append([]int{}, natural...)
	for width > 0 && total(columns) > width {
		widest := -1
		for i, c := range columns {
			if c > max(word[i], leastColumn) && (widest < 0 || c > columns[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return natural, false
		}
		columns[widest]--
	}
	return columns, true
}

// writeRow writes a row, whose cells wrap in their columns.
func writeRow(b *strings.Builder, row []string, columns []int) {
	cells, height := make([][]string, len(row)), 1
	for i, cell := range row {
		cells[i] = []string{cell}
		if columnsOf(cell) > columns[i] {
			cells[i] = Wrap(cell, columns[i])
		}
		height = max(height, len(cells[i]))
	}
	for n := range height {
		var line strings.Builder
		for i := range row {
			text := ""
			if n < len(cells[i]) {
				text = cells[i][n]
			}
			line.WriteString(text + strings.Repeat(" ", columns[i]-columnsOf(text)) + gap)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// fold writes the first columns that fit, and the cells of the others below each row.
func (t *Table) fold(b *strings.Builder, natural []int, width int) {
	in := 1
	for in < len(natural) && total(natural[:in+1]) <= width {
		in++
	}
	if len(t.header) > 0 {
		writeRow(b, t.header[:in], natural)
	}
	const indent = "    "
	for _, row := range t.rows {
		writeRow(b, row[:min(in, len(row))], natural)
		var items []string
		for i := in; i < len(row); i++ {
			if row[i] == "" {
				continue
			}
			item := row[i]
			if len(t.header) > 0 {
				item = strings.ToLower(t.header[i]) + ": " + item
			}
			items = append(items, item)
		}
		if len(items) == 0 {
			continue
		}
		for _, line := range wrapItems(items, gap, width-len(indent)) {
			for _, part := range wrapLong(line, width-len(indent)) {
				b.WriteString(indent + part + "\n")
			}
		}
	}
}

// wrapLong wraps a line only if it is too long.
func wrapLong(line string, width int) []string {
	if columnsOf(line) <= width {
		return []string{line}
	}
	return Wrap(line, width)
}
