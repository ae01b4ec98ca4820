package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// harbourMeters are what /metrics shows of the authorities; the registry adds its own.
type harbourMeters struct {
	requests *prometheus.HistogramVec
	own      http.Handler
	packages http.Handler // nil without a registry
}

func newHarbourMeters(h *harbour) *harbourMeters {
	m := &harbourMeters{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "seaworthy_authority_request_seconds", Help: "How long requests took, by service, method and status.",
		Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 5},
	}, []string{"service", "method", "status"})}
	if h.packages != nil {
		m.packages = h.packages
	}
	all := prometheus.NewRegistry()
	all.MustRegister(m.requests)
	gauge := func(name, help string, f func() float64) {
		all.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	healthy := func(check func() error) func() float64 {
		return func() float64 {
			if check() != nil {
				return 0
			}
			return 1
		}
	}
	if h.ledger != nil {
		gauge("seaworthy_log_entries", "Entries in the newest signed tree of the log.", func() float64 { return float64(h.ledger.Size()) })
		gauge("seaworthy_log_indexed", "Entries that can be searched.", func() float64 { return float64(h.ledger.Indexed()) })
		gauge("seaworthy_log_pending", "Entries that wait to be written.", func() float64 { return float64(h.ledger.Pending()) })
		gauge("seaworthy_log_writable", "1 when the log keeps and signs what it is given.", healthy(h.ledger.Check))
	}
	if h.certs != nil {
		gauge("seaworthy_ct_entries", "Entries in the newest signed tree of the log of certificates.", func() float64 { return float64(h.certs.Size()) })
		gauge("seaworthy_ct_writable", "1 when the log of certificates keeps and signs what it is given.", healthy(h.certs.Check))
	}
	if h.graph != nil {
		h.graph.gauges(gauge)
	}
	m.own = promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: 4, DisableCompression: true})
	return m
}

// count notes an answered request. Methods are the client's, so unknown ones share a name.
func (m *harbourMeters) count(service, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(service, method, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *harbourMeters) serve(w http.ResponseWriter, req *http.Request) {
	if m.packages == nil {
		m.own.ServeHTTP(w, req)
		return
	}
	plain := req.Clone(req.Context())
	plain.Header.Del("Accept-Encoding") // two texts are joined
	plain.Header.Del("Accept")
	m.own.ServeHTTP(w, plain)
	m.packages.ServeHTTP(appended{w}, plain)
}

// appended is an answer that has its status and header already.
type appended struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (appended) WriteHeader(int) {}
