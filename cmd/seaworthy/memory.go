package main

import (
	"runtime/debug"
	"sync"
)

// tuneMemory makes reading an image take little memory. As long as everything comes from the cache there is nothing to
// collect and no time to lose. Once layers are read (progress is then called), most of what passes is thrown away at
// once, and collecting often costs little beside reading and keeps the peak low.
func (a *app) tuneMemory(progress func(int64)) func(int64) {
	if a.getenv("GOGC") != "" {
		return progress
	}
	debug.SetGCPercent(200)
	var reading sync.Once
	return func(n int64) {
		reading.Do(func() {
			debug.SetGCPercent(50)
			forgetStart()
		})
		progress(n)
	}
}
