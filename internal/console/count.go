package console

import "strconv"

// Count says how many of a thing there are: "1 package", "2 packages".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
