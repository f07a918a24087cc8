package collect_test

import (
	"encoding/binary"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// A gRPC status of success without what etcd answers shows nothing: no alarm, no user, no key.
func TestCallsWithoutAnAnswer(t *testing.T) {
	frame := func(message []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	}
	for _, c := range []struct {
		name string
		body []byte // of every call
	}{
		{"no message", nil},
		{"an empty message", frame(nil)},
		{"a message without a header", frame([]byte{0x20, 0x07})}, // a number
		{"an empty header", frame([]byte{0x0a, 0x00})},
		{"two messages", append(frame(nil), frame([]byte{8})...)},
		{"a message that is none", frame([]byte{0x0a, 0xff, 0x01})}, // a header that is longer than the message
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.ProtoMajor == 2:
					w.Header().Set("Content-Type", "application/grpc")
					w.Header().Set("Trailer", "Grpc-Status")
					_, _ = w.Write(c.body)
					w.Header().Set("Grpc-Status", "0")
				case r.URL.Path == "/version":
					_, _ = w.Write([]byte(`{"etcdserver":"3.6.16"}`))
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})}
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetUnencryptedHTTP2(true)
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
			targets, err := collect.Collect(t.Context(), []collect.Endpoint{{Address: listener.Addr().String(), Kind: audit.Client, ClusterName: "c"}}, collect.Config{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			// These are about HTTP alone.
			pages := []string{"gateway-enabled", "v2-api-enabled", "grpc-proxy-exposed", "debug-exposed", "metrics-exposed", "version-eol", "version-vulnerable", "version-skew"}
			report := audit.Run(catalog.All(), append(audit.Targets(targets), audit.Targets(audit.Clusters(targets))...))
			unknown := []string{}
			for _, r := range report.Results {
				if r.Verdict == audit.Pass && !slices.Contains(pages, r.CheckID) {
					t.Errorf("%s passes: %s", r.CheckID, r.Evidence)
				}
				if r.Verdict == audit.Unknown {
					unknown = append(unknown, r.CheckID)
				}
			}
			for _, check := range []string{"alarm-active", "request-latency", "db-size", "member-count", "member-unhealthy"} {
				if !slices.Contains(unknown, check) {
					t.Errorf("%s is not unknown", check)
				}
			}
		})
	}
}
