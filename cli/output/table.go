package output

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Column of a table.
type Column struct {
	Title string
	// Wide columns are shown with -o wide only.
	Wide bool
	// Text is for people and may be long: it is cut at the end of an 80 column
	// line, and whole with -o wide. Names are never cut.
	Text bool
	// Spare columns give their place to a text that would be cut; -o wide shows
	// them always.
	Spare bool
}

const (
	lineWidth = 80
	leastText = 24 // however little room the names leave
	gap       = "  "
)

// Rows prints a table, aligned.
func Rows(w io.Writer, f Format, columns []Column, rows [][]string) error {
	if f != Wide {
		columns, rows = withoutSpare(columns, rows)
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.Title
	}
	lines := make([][]string, 0, len(rows)+1)
	for _, cells := range append([][]string{titles}, rows...) {
		var shown []string
		for i, c := range cells {
			if !columns[i].Wide || f == Wide {
				shown = append(shown, Clean(c))
			}
		}
		lines = append(lines, shown)
	}
	if f != Wide {
		cutText(columns, lines)
	}
	widths := widthsOf(lines)
	for _, cells := range lines {
		var b strings.Builder
		for i, c := range cells {
			b.WriteString(c)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)))
			b.WriteString(gap)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// withoutSpare leaves the spare columns out when the text would be cut otherwise.
func withoutSpare(columns []Column, rows [][]string) ([]Column, [][]string) {
	width, text, spare := 0, false, false
	for i, c := range columns {
		if c.Wide {
			continue
		}
		text, spare = text || c.Text, spare || c.Spare
		widest := utf8.RuneCountInString(c.Title)
		for _, cells := range rows {
			widest = max(widest, utf8.RuneCountInString(Clean(cells[i])))
		}
		width += widest + len(gap)
	}
	if !text || !spare || width-len(gap) <= lineWidth {
		return columns, rows
	}
	keep := func(of int) bool { return !columns[of].Spare }
	var left []Column
	for i, c := range columns {
		if keep(i) {
			left = append(left, c)
		}
	}
	out := make([][]string, 0, len(rows))
	for _, cells := range rows {
		var row []string
		for i, c := range cells {
			if keep(i) {
				row = append(row, c)
			}
		}
		out = append(out, row)
	}
	return left, out
}

func widthsOf(lines [][]string) []int {
	widths := make([]int, len(lines[0]))
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	return widths
}

// cutText shortens the text column, if there is one, to what the others leave
// of a line.
func cutText(columns []Column, lines [][]string) {
	text, at := -1, 0
	for _, c := range columns {
		if c.Wide {
			continue
		}
		if c.Text {
			text = at
		}
		at++
	}
	if text < 0 {
		return
	}
	room := lineWidth
	for i, width := range widthsOf(lines) {
		if i != text {
			room -= width + len(gap)
		}
	}
	room = max(room, leastText)
	for _, cells := range lines {
		if r := []rune(cells[text]); len(r) > room {
			cells[text] = string(r[:room-1]) + "…"
		}
	}
}
