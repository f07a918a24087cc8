package catalog

import (
	"slices"
	"strings"
)

func resembles(id, typed string) bool {
	if len(typed) > 64 {
		return false
	}
	if distance(id, typed) <= 2 {
		return true
	}
	const short = 3 // "min" and "san" are in IDs, "a" and "is" are noise
	words := strings.Split(id, "-")
	for word := range strings.SplitSeq(typed, "-") {
		if len(word) >= short && slices.Contains(words, word) {
			return true
		}
	}
	return false
}

// distance returns the Levenshtein distance: the number of letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
