package console

import (
	"fmt"
	"strings"
)

// maxNearest is the longest word, in bytes, for which Nearest looks for a likeness.
const maxNearest = 64

// Nearest returns the candidate a person most likely meant by word, or "" when none is near: at most one slip
// (a wrong, missing, extra or swapped letter) in every three letters, or a candidate that word begins.
// Case does not count. Of equals the first wins.
func Nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	if word == "" || len(word) > maxNearest {
		return ""
	}
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, candidate := range candidates {
		if d := distance(word, strings.ToLower(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, candidate := range candidates {
		if strings.HasPrefix(strings.ToLower(candidate), word) {
			return candidate
		}
	}
	return ""
}

// didYouMean is a hint: the nearest candidate, or the list of all of them.
func didYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "choose one of: " + strings.Join(candidates, ", ")
}

// distance counts the slips between two words: insertions, deletions, substitutions, and swaps of neighbours
// (optimal string alignment). Words over maxNearest bytes are as far apart as they are long.
func distance(a, b string) int {
	if len(a) > maxNearest || len(b) > maxNearest {
		return max(len(a), len(b))
	}
	var rows [3][maxNearest + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
