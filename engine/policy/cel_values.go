package policy

import (
	"encoding/json"
)

// celValue turns decoded JSON, whose numbers are as written, into what CEL knows: whole numbers and others. It changes
// the lists and maps it is given.
func celValue(v any) any {
	if n, ok := v.(json.Number); ok {
		return celNumber(n)
	}
	stack := []any{v}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch x := top.(type) {
		case map[string]any:
			for k, e := range x {
				if n, ok := e.(json.Number); ok {
					x[k] = celNumber(n)
				} else {
					stack = append(stack, e)
				}
			}
		case []any:
			for i, e := range x {
				if n, ok := e.(json.Number); ok {
					x[i] = celNumber(n)
				} else {
					stack = append(stack, e)
				}
			}
		}
	}
	return v
}

func celNumber(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return f
}
