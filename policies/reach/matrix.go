package reach

import (
	"fmt"
	"slices"
	"strings"
)

// Matrix is a summary of flows: who reaches which port.
type Matrix struct {
	Ports []uint16
	Rows  []MatrixRow
}

// MatrixRow holds the senders of one class with the same outcome.
type MatrixRow struct {
	Class Class
	Names []string
	Cells []string // one for each port: yes, -, OPEN, CUT, local or ?, and of how many members
}

// NewMatrix sums up the flows of a proof, in their order.
func NewMatrix(flows []Flow) Matrix {
	var m Matrix
	for _, f := range flows {
		if !slices.Contains(m.Ports, f.Port) {
			m.Ports = append(m.Ports, f.Port)
		}
	}
	m.Rows = rowsOf(flows, m.Ports)
	return m
}

func rowsOf(flows []Flow, ports []uint16) []MatrixRow {
	var rows []MatrixRow
	for start := 0; start < len(flows); {
		end := start
		for end < len(flows) && flows[end].From == flows[start].From && flows[end].FromClass == flows[start].FromClass {
			end++
		}
		row := MatrixRow{Class: flows[start].FromClass, Names: []string{flows[start].From}}
		for _, p := range ports {
			row.Cells = append(row.Cells, cellOf(flows[start:end], p))
		}
		same := slices.IndexFunc(rows, func(r MatrixRow) bool { return r.Class == row.Class && slices.Equal(r.Cells, row.Cells) })
		if same >= 0 {
			rows[same].Names = append(rows[same].Names, row.Names...)
		} else {
			rows = append(rows, row)
		}
		start = end
	}
	return rows
}

// cellOf summarizes the flows of one sender to one port of all members: the worst of them, and the
// number of members with it.
func cellOf(flows []Flow, port uint16) string {
	words := []string{"OPEN", "CUT", "?", "yes", "-", "local"}
	members := map[string][]string{} // by word
	all := map[string]bool{}
	for _, f := range flows {
		if f.Port != port {
			continue
		}
		word := wordOf(f)
		all[f.To] = true
		if !slices.Contains(members[word], f.To) {
			members[word] = append(members[word], f.To)
		}
	}
	for _, w := range words {
		n := len(members[w])
		switch {
		case n == 0:
		case n < len(all) && slices.Index(words, w) <= 2:
			return fmt.Sprintf("%s %d of %d", w, n, len(all))
		default:
			return w
		}
	}
	return ""
}

func wordOf(f Flow) string {
	switch {
	case f.Unknown != "":
		return "?"
	case f.Unavoidable:
		return "local"
	case f.Allowed && f.Wanted:
		return "yes"
	case f.Allowed:
		return "OPEN"
	case f.Wanted:
		return "CUT"
	}
	return "-"
}

// Legend explains the words of the cells, in the order of their gravity. It has only those that occur.
func (m Matrix) Legend() []string {
	var legend []string
	for _, l := range []struct{ word, meaning string }{
		{"OPEN", "the sender reaches the port, and should not"},
		{"CUT", "the sender should reach the port, and does not"},
		{"?", "unknown"},
		{"yes", "the sender reaches the port, as it should"},
		{"-", "the sender does not reach the port, as it should"},
		{"local", "the sender is on the member itself, where no policy stops it"},
	} {
		if slices.ContainsFunc(m.Rows, func(r MatrixRow) bool {
			return slices.ContainsFunc(r.Cells, func(cell string) bool { return cell == l.word || strings.HasPrefix(cell, l.word+" ") })
		}) {
			legend = append(legend, l.word+": "+l.meaning)
		}
	}
	return legend
}

// MergeViolations joins the violations by the same senders for the same reason into one, which
// names all of their invariants and ports.
func MergeViolations(violations []Violation) []Violation {
	var list []Violation
	for _, v := range violations {
		same := slices.IndexFunc(list, func(w Violation) bool {
			return w.FixText == v.FixText && slices.Equal(w.From, v.From) && slices.Equal(w.To, v.To) && slices.Equal(w.DecidedBy, v.DecidedBy)
		})
		if same < 0 {
			list = append(list, v)
			continue
		}
		w := &list[same]
		w.Invariant += ", " + v.Invariant
		w.Ports = slices.Concat(w.Ports, v.Ports)
		w.Text = w.Sentence()
	}
	return list
}
