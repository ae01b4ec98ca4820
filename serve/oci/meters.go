package oci

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// meters are what /metrics shows. Repositories are not among the labels: there may be any number of them, and
// their names are not everybody's.
type meters struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	sent     prometheus.Counter
	received prometheus.Counter
	inFlight prometheus.Gauge
	garbage  *prometheus.CounterVec
	failed   prometheus.Counter
}

func newMeters(r *registry.Registry) *meters {
	m := &meters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seaworthy_registry_requests_total", Help: "Requests answered, by endpoint, method and status.",
		}, []string{"endpoint", "method", "status"}),
		sent:     prometheus.NewCounter(prometheus.CounterOpts{Name: "seaworthy_registry_sent_bytes_total", Help: "Bytes of answers."}),
		received: prometheus.NewCounter(prometheus.CounterOpts{Name: "seaworthy_registry_received_bytes_total", Help: "Bytes of uploads and manifests."}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "seaworthy_registry_requests_in_flight", Help: "Requests being answered."}),
		garbage: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seaworthy_registry_collected_total", Help: "Garbage collected, by kind; bytes are bytes.",
		}, []string{"kind"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "seaworthy_registry_collections_failed_total", Help: "Collections of garbage that failed."}),
	}
	up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "seaworthy_registry_writable", Help: "1 when the registry can keep what is pushed.",
	}, func() float64 {
		if r.Check() != nil {
			return 0
		}
		return 1
	})
	all := prometheus.NewRegistry()
	all.MustRegister(m.requests, m.sent, m.received, m.inFlight, m.garbage, m.failed, up)
	m.handler = promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return m
}

// count notes an answered request. Methods are the client's, so unknown ones share a name.
func (m *meters) count(to endpoint, method string, w *response) {
	if _, ok := needs[to][method]; !ok {
		method = "other"
	}
	if to == unknownEndpoint {
		to = "unknown"
	}
	m.requests.WithLabelValues(string(to), method, strconv.Itoa(w.status)).Inc()
	m.sent.Add(float64(w.sent))
}

func (m *meters) collected(c registry.Collected, err error) {
	if err != nil {
		m.failed.Inc()
	}
	m.garbage.WithLabelValues("manifests").Add(float64(c.Manifests))
	m.garbage.WithLabelValues("links").Add(float64(c.Links))
	m.garbage.WithLabelValues("blobs").Add(float64(c.Blobs))
	m.garbage.WithLabelValues("bytes").Add(float64(c.Bytes))
	m.garbage.WithLabelValues("uploads").Add(float64(c.Uploads))
}
