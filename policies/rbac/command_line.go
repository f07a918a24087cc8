package rbac

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// An IgnoredNameError means that a member demands certificates and ignores the CN in them: it was started
// with --trusted-ca-file and without --client-cert-auth. With RBAC it would refuse every client, and the
// administrator too, so that nobody could disable RBAC again.
type IgnoredNameError struct{ Endpoint string }

func (e *IgnoredNameError) Error() string {
	return "asking " + e.Endpoint + ": it demands certificates but was started without --client-cert-auth, so with RBAC it would refuse everybody"
}

// checkNames returns an IgnoredNameError if the command line of a member, which etcd shows at its client
// port, says that it ignores the names in certificates. Nothing else tells it before RBAC is enabled
// (etcd, client/pkg/transport/listener.go, ServerConfig, and etcdserver/v3_server.go, AuthInfoFromCtx). A
// member that was configured otherwise, such as by a file, passes.
func (l *Live) checkNames(ctx context.Context, endpoint string) error {
	args, err := l.commandLine(ctx, endpoint)
	if err != nil {
		return nil //nolint:nilerr // a member need not show it
	}
	if ignoresNames(args) {
		return &IgnoredNameError{endpoint}
	}
	return nil
}

// commandLine returns the arguments with which a member was started.
func (l *Live) commandLine(ctx context.Context, endpoint string) ([]string, error) {
	timeout := l.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	config := &tls.Config{RootCAs: l.Roots, MinVersion: tls.VersionTLS12}
	if l.Admin.Certificate != nil {
		config.Certificates = []tls.Certificate{*l.Admin.Certificate}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+endpoint+"/debug/vars", nil)
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	var vars struct {
		Arguments []string `json:"cmdline"`
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", answer.StatusCode)
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&vars)
	return vars.Arguments, err
}

// ignoresNames reports whether the arguments of etcd say that it verifies certificates by a CA and does not
// authenticate by them. With a file of settings, etcd reads no other flag.
func ignoresNames(args []string) bool {
	if len(args) == 0 {
		return false
	}
	verifies, authenticates, set := false, false, false
	for _, arg := range args[1:] {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if !strings.HasPrefix(arg, "-") {
			continue // the value of the flag before
		}
		switch name {
		case "config-file":
			return false
		case "trusted-ca-file":
			verifies = true
		case "client-cert-auth":
			on, err := strconv.ParseBool(value)
			authenticates, set = !hasValue || err == nil && on, true
		}
	}
	return !authenticates && (verifies || set)
}
