package output

import (
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Column of a table.
type Column struct {
	Title string
	// Wide columns are shown with -o wide only.
	Wide bool
	// Text is for people and may be long: on a terminal it is cut at the end of
	// the line, and whole with -o wide.
	Text bool
	// Spare columns give their place to a text that would be cut; -o wide shows
	// them always.
	Spare bool
	// Status is a word that gets an icon and a colour where a terminal can show
	// them.
	Status bool
	// Path of the value in the JSON of a row, for --sort-by where the text that is
	// shown has another order, as an age has.
	Path string
}

// Sheet is a table: which columns and how they are shown.
type Sheet struct {
	Columns []Column
	// Wide shows all columns, whole.
	Wide      bool
	NoHeaders bool
	Look      Look
	// widths are kept from the first rows that were printed: those that follow
	// are aligned with them.
	widths []int
	shown  []Column
	keep   []int
}

const (
	leastText = 24 // however little room the names leave
	leastName = 16 // names are cut in their middle, not shorter than this
	gap       = "  "
)

// Choose keeps the columns that --columns names, in that order, wide ones too.
// The rows then have the same cells as before.
func (s *Sheet) Choose(names []string) error {
	s.keep = nil
	var chosen []int
	for _, name := range names {
		at := -1
		for i, c := range s.Columns {
			if strings.EqualFold(c.Title, strings.TrimSpace(name)) {
				at = i
			}
		}
		if at < 0 {
			var all []string
			for _, c := range s.Columns {
				all = append(all, strings.ToLower(c.Title))
			}
			return fault.New(fault.Invalid, "column_unknown", "there is no column %q", name).
				WithFix("choose from %s", strings.Join(all, ", "))
		}
		chosen = append(chosen, at)
	}
	s.keep = chosen
	return nil
}

// Print prints rows, aligned. Called again it goes on below, without a header.
func (s *Sheet) Print(w io.Writer, rows [][]string) error {
	first := s.shown == nil
	if first {
		s.choose(rows)
	}
	lines := make([][]string, 0, len(rows)+1)
	if first && !s.NoHeaders {
		titles := make([]string, len(s.shown))
		for i, c := range s.shown {
			titles[i] = c.Title
		}
		lines = append(lines, titles)
	}
	header := len(lines)
	for _, cells := range rows {
		line := make([]string, len(s.keep))
		for i, at := range s.keep {
			line[i] = Clean(cells[at])
			if s.shown[i].Status && s.Look.Icons {
				icon, _, _ := s.Look.decorate(line[i])
				line[i] = icon + line[i]
			}
		}
		lines = append(lines, line)
	}
	if first {
		s.widths = widthsOf(len(s.shown), lines)
		s.fit()
	}
	var b strings.Builder
	for n, cells := range lines {
		b.Reset()
		for i, cell := range cells {
			cell = s.cut(i, cell)
			pad := max(s.widths[i]-cellWidth(cell), 0)
			if s.shown[i].Status && s.Look.Colour && n >= header {
				cell = s.coloured(cell)
			}
			b.WriteString(cell)
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", pad))
				b.WriteString(gap)
			}
		}
		if _, err := io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sheet) coloured(cell string) string {
	word := cell
	if s.Look.Icons {
		if _, rest, ok := strings.Cut(cell, " "); ok {
			word = rest
		}
	}
	_, start, end := Look{Colour: true}.decorate(word)
	return start + cell + end
}

// choose decides which columns are shown.
func (s *Sheet) choose(rows [][]string) {
	if s.keep == nil {
		dropSpare := !s.Wide && s.spareTooMuch(rows)
		for i, c := range s.Columns {
			if (c.Wide && !s.Wide) || (c.Spare && dropSpare) {
				continue
			}
			s.keep = append(s.keep, i)
		}
	}
	s.shown = make([]Column, len(s.keep))
	for i, at := range s.keep {
		s.shown[i] = s.Columns[at]
	}
}

// spareTooMuch reports whether a text would be cut if the spare columns stayed.
func (s *Sheet) spareTooMuch(rows [][]string) bool {
	if s.Look.Width == 0 {
		return false
	}
	total, text, spare := 0, false, false
	for i, c := range s.Columns {
		if c.Wide {
			continue
		}
		text, spare = text || c.Text, spare || c.Spare
		widest := cellWidth(c.Title)
		for _, cells := range rows {
			widest = max(widest, cellWidth(Clean(cells[i])))
		}
		total += widest + len(gap)
	}
	return text && spare && total-len(gap) > s.Look.Width
}

// fit narrows the columns to the terminal: first the text, then the widest names.
func (s *Sheet) fit() {
	if s.Wide || s.Look.Width == 0 {
		return
	}
	over := -len(gap) - s.Look.Width
	for _, n := range s.widths {
		over += n + len(gap)
	}
	for i, c := range s.shown {
		if c.Text && over > 0 {
			to := max(s.widths[i]-over, min(leastText, s.widths[i]))
			over -= s.widths[i] - to
			s.widths[i] = to
		}
	}
	for over > 0 {
		widest := -1
		for i, c := range s.shown {
			if !c.Text && !c.Status && s.widths[i] > max(leastName, cellWidth(c.Title)) && (widest < 0 || s.widths[i] > s.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		s.widths[widest]--
		over--
	}
}

// cut shortens a cell to its column: a text at its end, a name in its middle,
// because names differ at both ends.
func (s *Sheet) cut(column int, cell string) string {
	room := s.widths[column]
	if s.Wide || s.Look.Width == 0 || cellWidth(cell) <= room || room < 3 {
		return cell
	}
	if s.shown[column].Text {
		return head(cell, room-1) + "…"
	}
	return Middle(cell, room)
}

// Middle shortens s to room columns with an ellipsis in its middle.
func Middle(s string, room int) string {
	if cellWidth(s) <= room || room < 3 {
		return s
	}
	front := room / 2
	return head(s, front) + "…" + tail(s, room-front-1)
}

func head(s string, room int) string {
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > room {
			return s[:i]
		}
	}
	return s
}

func tail(s string, room int) string {
	runes := []rune(s)
	n := 0
	for i := len(runes) - 1; i >= 0; i-- {
		if n += runeWidth(runes[i]); n > room {
			return string(runes[i+1:])
		}
	}
	return s
}

func widthsOf(columns int, lines [][]string) []int {
	widths := make([]int, columns)
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], cellWidth(c))
		}
	}
	return widths
}

// cellWidth is how many columns of a terminal s takes.
func cellWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me): // drawn over what is before it
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
