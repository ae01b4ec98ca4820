package admit

import "sync"

// lazy is a value that is asked for once; its error is remembered as well, so that three rules that need the same
// answer of a registry that is down ask it once. Who asks meanwhile waits.
type lazy[T any] struct {
	mu    sync.Mutex
	done  bool
	value T
	err   error
}

func (l *lazy[T]) get(ask func() (T, error)) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done {
		l.value, l.err = ask()
		l.done = true
	}
	return l.value, l.err
}
