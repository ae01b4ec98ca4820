package console

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	// barAfter is how long something must take before a terminal shows a bar for it.
	barAfter = time.Second
	// lineEvery is how often a line is written where there is no terminal.
	lineEvery = 10 * time.Second
	// redrawEvery is how often bars are moved on.
	redrawEvery = 200 * time.Millisecond
	// maxOnLine is how many jobs a line speaks of.
	maxOnLine = 3
)

// Unit is what a Bar counts.
type Unit int

// The units.
const (
	Things Unit = iota
	Bytes
)

// Progress shows how far long work is: on a terminal a bar for everything that takes more than a second,
// elsewhere one plain line every ten seconds, nothing when quiet. It is also the io.Writer through which other
// talk reaches the same stream without tearing a bar apart. All methods may be called from many goroutines.
//
// The goroutine that draws starts with the first Bar and ends with Close.
type Progress struct {
	stream *Stream
	quiet  bool

	mu     sync.Mutex // held while bars change and while anything is drawn or written
	bars   []*Bar     // running, oldest first
	screen *mpb.Progress
	stop   chan struct{} // closed by Close; nil until the first Bar
	ended  chan struct{} // closed when the drawing goroutine has returned
	closed bool
}

// Bar is one piece of work. A nil Bar is allowed and does nothing.
type Bar struct {
	progress *Progress
	label    string
	unit     Unit
	total    atomic.Int64 // 0 when not known
	done     atomic.Int64
	started  time.Time
	shown    *mpb.Bar // guarded by progress.mu
}

// NewProgress shows progress on stream. With quiet it shows nothing.
func NewProgress(stream *Stream, quiet bool) *Progress {
	return &Progress{stream: stream, quiet: quiet}
}

// Start begins to show a piece of work: total units of it, 0 when that is not known. The caller calls Done when
// it has ended, well or badly. On a nil, quiet or closed Progress the Bar is nil.
func (p *Progress) Start(label string, total int64, unit Unit) *Bar {
	if p == nil || p.quiet {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	b := &Bar{progress: p, label: Escape(label), unit: unit, started: time.Now()}
	b.total.Store(total)
	p.bars = append(p.bars, b)
	if p.stop == nil {
		p.stop, p.ended = make(chan struct{}), make(chan struct{})
		go p.draw(p.stop, p.ended)
	}
	return b
}

// Add says that n more units are done. It is one atomic addition.
func (b *Bar) Add(n int64) {
	if b != nil {
		b.done.Add(n)
	}
}

// SetTotal says how many units there are, once that is known.
func (b *Bar) SetTotal(n int64) {
	if b != nil {
		b.total.Store(n)
	}
}

// Done takes the bar away. It may be called more than once.
func (b *Bar) Done() {
	if b == nil {
		return
	}
	p := b.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.bars {
		if other == b {
			p.bars = append(p.bars[:i:i], p.bars[i+1:]...)
			break
		}
	}
	b.hide()
}

// hide is called with p.mu held.
func (b *Bar) hide() {
	if b.shown != nil {
		b.shown.Abort(true)
		b.shown = nil
	}
}

// Close takes all bars away and waits until nothing more is drawn. It may be called more than once.
func (p *Progress) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	if first && p.stop != nil {
		close(p.stop)
	}
	ended := p.ended
	p.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// Write writes a whole line, or several, above the bars.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.screen != nil {
		return p.screen.Write(b)
	}
	return p.stream.Write(b)
}

func (p *Progress) draw(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	every, step := lineEvery, p.writeLine
	if p.stream.Terminal {
		every, step = redrawEvery, p.moveBars
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			step()
		case <-stop:
			p.clear()
			return
		}
	}
}

func (p *Progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.bars {
		b.hide()
	}
	p.bars = nil
	if p.screen != nil {
		p.screen.Wait()
		p.screen = nil
	}
}

// moveBars shows the bars that are old enough and moves those that are shown.
func (p *Progress) moveBars() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.bars {
		if b.shown == nil {
			if time.Since(b.started) < barAfter {
				continue
			}
			if p.screen == nil {
				p.screen = mpb.New(mpb.WithOutput(p.stream.Writer), mpb.WithAutoRefresh(), mpb.WithRefreshRate(redrawEvery))
			}
			b.shown = b.show(p.screen)
		}
		if total := b.total.Load(); total > 0 {
			b.shown.SetTotal(total, false)
		}
		b.shown.SetCurrent(b.done.Load())
	}
}

func (b *Bar) show(screen *mpb.Progress) *mpb.Bar {
	said := func(decor.Statistics) string { return " " + b.amount() }
	options := []mpb.BarOption{
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(b.label+" ", decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(said), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)),
	}
	// Every bar is made without a total and told it afterwards: mpb ends a bar made with one when it is full, and
	// only Done ends ours.
	if b.total.Load() > 0 {
		return screen.New(0, mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─"), options...)
	}
	return screen.New(0, mpb.SpinnerStyle(), options...)
}

// writeLine says in one line how far the oldest pieces of work are.
func (p *Progress) writeLine() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var said []string
	for i, b := range p.bars {
		if i == maxOnLine {
			said = append(said, fmt.Sprintf("and %d more", len(p.bars)-maxOnLine))
			break
		}
		said = append(said, fmt.Sprintf("%s: %s, %s", b.label, b.amount(), time.Since(b.started).Round(time.Second)))
	}
	if len(said) > 0 {
		fmt.Fprintln(p.stream, strings.Join(said, "; "))
	}
}

// amount is "12.3 MB of 45.0 MB (27 %)".
func (b *Bar) amount() string {
	done, total := b.done.Load(), b.total.Load()
	show := func(n int64) string { return fmt.Sprint(n) }
	if b.unit == Bytes {
		show = Size
	}
	if total <= 0 {
		return show(done)
	}
	return fmt.Sprintf("%s of %s (%d %%)", show(done), show(total), min(100, int64(100*(float64(done)/float64(total)))))
}

// Size writes a number of bytes for people: decimal units, one digit after the point. "999 B", "1.5 MB".
func Size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len("kMGTPE")-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit])
}
