package obs

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace begins the name of every metric of ours.
const namespace = "estate"

// NewRegistry makes a registry with the metrics of the process and of Go's runtime.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// MetricsHandler serves a registry's metrics. It asks for no sign-in: serve it on a
// listener that only the operator's own machines reach.
func MetricsHandler(from prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(from, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// HTTPMetrics counts requests and live connections.
type HTTPMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	sockets  prometheus.Gauge
	pushed   prometheus.Counter
}

// NewHTTPMetrics registers the metrics of a server; a nil registry counts for nobody.
func NewHTTPMetrics(in prometheus.Registerer) *HTTPMetrics {
	m := &HTTPMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "http_requests_total",
			Help: "Requests answered, by route pattern, method and status."}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "http_request_seconds",
			Help: "How long requests took, by route pattern.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "http_requests_in_flight",
			Help: "Requests being answered now."}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "websocket_connections",
			Help: "Open WebSocket connections of apps and dashboards."}),
		pushed: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "websocket_messages_total",
			Help: "Messages pushed over WebSockets."}),
	}
	if in != nil {
		in.MustRegister(m.requests, m.duration, m.inFlight, m.sockets, m.pushed)
	}
	return m
}

// Begin counts a request in; the function it returns counts it out.
func (m *HTTPMetrics) Begin() (end func(route, method string, status int, took time.Duration)) {
	m.inFlight.Inc()
	return func(route, method string, status int, took time.Duration) {
		m.inFlight.Dec()
		m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
		m.duration.WithLabelValues(route).Observe(took.Seconds())
	}
}

// Socket counts a WebSocket in; the function it returns counts it out.
func (m *HTTPMetrics) Socket() (end func()) {
	m.sockets.Inc()
	return m.sockets.Dec
}

// Pushed counts messages that were sent over a WebSocket.
func (m *HTTPMetrics) Pushed(n int) { m.pushed.Add(float64(n)) }
