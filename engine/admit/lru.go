package admit

import (
	"container/list"
	"sync"
)

// lru keeps values by name, up to a weight altogether; what was not asked for longest goes first.
type lru[T any] struct {
	mu     sync.Mutex
	max    int64
	weight int64
	order  *list.List // of *lruItem[T], the newest in front
	items  map[string]*list.Element
}

type lruItem[T any] struct {
	name   string
	value  T
	weight int64
}

func newLRU[T any](maxWeight int64) *lru[T] {
	return &lru[T]{max: maxWeight, order: list.New(), items: map[string]*list.Element{}}
}

func (l *lru[T]) get(name string) (value T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.items[name]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruItem[T]).value, true
}

// put keeps a value; one that weighs more than everything may is not kept.
func (l *lru[T]) put(name string, value T, weight int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(l.items[name])
	if weight > l.max {
		return
	}
	l.items[name] = l.order.PushFront(&lruItem[T]{name, value, weight})
	l.weight += weight
	for l.weight > l.max {
		l.drop(l.order.Back())
	}
}

// drop forgets an element; l.mu is held.
func (l *lru[T]) drop(e *list.Element) {
	if e == nil {
		return
	}
	item := e.Value.(*lruItem[T])
	l.order.Remove(e)
	delete(l.items, item.name)
	l.weight -= item.weight
}

func (l *lru[T]) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.items)
}
