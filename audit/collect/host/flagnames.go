package host

import (
	"slices"
	"strings"
)

// The two programs that are looked for.
const (
	etcd          = "etcd"
	kubeAPIServer = "kube-apiserver"
)

func programs() []string { return []string{etcd, kubeAPIServer} }

// etcdSwitches returns the boolean flags of etcd 3.4 to 3.7. They take no value from the next
// argument (server/embed/config.go AddFlags and server/etcdmain/config.go).
func etcdSwitches() []string {
	return []string{
		"auto-tls", "client-cert-auth", "debug", "discovery-insecure-skip-tls-verify", "discovery-insecure-transport",
		"enable-distributed-tracing", "enable-grpc-gateway", "enable-log-rotation", "enable-pprof", "enable-v2",
		"experimental-compact-hash-check-enabled", "experimental-enable-distributed-tracing", "experimental-enable-lease-checkpoint",
		"experimental-enable-lease-checkpoint-persist", "experimental-initial-corrupt-check", "experimental-memory-mlock",
		"experimental-peer-skip-client-san-verification", "experimental-stop-grpc-service-on-defrag",
		"experimental-txn-mode-write-with-shared-buffer", "force-new-cluster", "initial-election-tick-advance", "memory-mlock",
		"peer-auto-tls", "peer-client-cert-auth", "peer-skip-client-san-verification", "pre-vote", "socket-reuse-address",
		"socket-reuse-port", "strict-reconfig-check", "unsafe-no-fsync", "version",
	}
}

// etcdOptions returns the flags that take a value and have no key of the same name in the
// configuration file.
func etcdOptions() []string {
	return []string{
		"cert-file", "key-file", "client-cert-file", "client-key-file", "client-crl-file", "client-cert-allowed-hostname", "trusted-ca-file",
		"peer-cert-file", "peer-key-file", "peer-client-cert-file", "peer-client-key-file", "peer-crl-file", "peer-trusted-ca-file",
		"peer-cert-allowed-cn", "peer-cert-allowed-hostname", "config-file", "discovery-endpoints", "discovery-token",
		"discovery-dial-timeout", "discovery-request-timeout", "discovery-keepalive-time", "discovery-keepalive-timeout",
		"discovery-cert", "discovery-key", "discovery-cacert", "discovery-user", "discovery-password", "raft-read-timeout",
		"raft-write-timeout", "log-package-levels", "experimental-snapshot-catchup-entries",
	}
}

// lookUpSwitch reports whether a flag of etcd is boolean, and whether that is known.
func lookUpSwitch(flag string) (boolean, known bool) {
	if slices.Contains(etcdSwitches(), flag) {
		return true, true
	}
	if _, found := fileKey(flag); found || slices.Contains(etcdOptions(), flag) {
		return false, true
	}
	return false, false
}

// isKnownFlag reports whether some release of etcd has the flag.
func isKnownFlag(flag string) bool {
	_, known := lookUpSwitch(flag)
	return known
}

// isCumulative reports whether later values of a flag are added to the earlier ones. Of every
// other flag the last value counts.
func isCumulative(program, flag string) bool {
	if program == etcd {
		return flag == "feature-gates"
	}
	return slices.Contains([]string{
		"admission-control", "api-audiences", "authorization-mode", "disable-admission-plugins", "enable-admission-plugins",
		"etcd-servers", "etcd-servers-overrides", "feature-gates", "oidc-groups-claim", "runtime-config",
		"service-account-issuer", "service-account-key-file", "tls-cipher-suites", "tls-sni-cert-key",
	}, flag)
}

// Kinds of value in etcd's configuration file. etcd refuses a value of another kind
// (encoding/json), where a flag takes any text that reads as one.
type kind string

const (
	isText    kind = "a text"
	isBoolean kind = "true or false"
	isNumber  kind = "a number"
	isList    kind = "a list of texts"
	isMapping kind = "a mapping"
)

// fileKeys returns the keys of etcd's configuration file in 3.5, 3.6 and 3.7
// (server/embed/config.go, the json tags of Config and configJSON; server/etcdmain/config.go
// for the proxy's).
func fileKeys() []struct {
	kind kind
	keys []string
} {
	return []struct {
		kind kind
		keys []string
	}{
		{isText, []string{
			"advertise-client-urls", "auth-token", "auto-compaction-mode", "auto-compaction-retention", "backend-bbolt-freelist-type",
			"cors", "data-dir", "discovery", "discovery-fallback", "discovery-proxy", "discovery-srv", "discovery-srv-name",
			"distributed-tracing-address", "distributed-tracing-instance-id", "distributed-tracing-service-name",
			"experimental-distributed-tracing-address", "experimental-distributed-tracing-instance-id",
			"experimental-distributed-tracing-service-name", "experimental-enable-v2v3", "feature-gates", "host-whitelist",
			"initial-advertise-peer-urls", "initial-cluster", "initial-cluster-state", "initial-cluster-token", "listen-client-http-urls",
			"listen-client-urls", "listen-metrics-urls", "listen-peer-urls", "log-format", "log-level", "log-rotation-config-json",
			"logger", "metrics", "name", "proxy", "tls-max-version", "tls-min-version", "v2-deprecation", "wal-dir",
		}},
		{isBoolean, []string{
			"enable-distributed-tracing", "enable-grpc-gateway", "enable-log-rotation", "enable-pprof", "enable-v2",
			"experimental-compact-hash-check-enabled", "experimental-enable-distributed-tracing", "experimental-enable-lease-checkpoint",
			"experimental-enable-lease-checkpoint-persist", "experimental-initial-corrupt-check", "experimental-memory-mlock",
			"experimental-peer-skip-client-san-verification", "experimental-stop-grpc-service-on-defrag",
			"experimental-txn-mode-write-with-shared-buffer", "force-new-cluster", "initial-election-tick-advance", "memory-mlock",
			"pre-vote", "strict-reconfig-check", "unsafe-no-fsync",
		}},
		{isNumber, []string{
			"auth-token-ttl", "backend-batch-interval", "backend-batch-limit", "bcrypt-cost", "bootstrap-defrag-threshold-megabytes",
			"compact-hash-check-time", "compaction-batch-limit", "compaction-sleep-interval", "corrupt-check-time",
			"distributed-tracing-sampling-rate", "downgrade-check-time", "election-timeout",
			"experimental-bootstrap-defrag-threshold-megabytes", "experimental-compact-hash-check-time",
			"experimental-compaction-batch-limit", "experimental-compaction-sleep-interval", "experimental-corrupt-check-time",
			"experimental-distributed-tracing-sampling-rate", "experimental-downgrade-check-time",
			"experimental-snapshot-catch-up-entries", "experimental-warning-apply-duration",
			"experimental-warning-unary-request-duration", "experimental-watch-progress-notify-interval", "grpc-keepalive-interval",
			"grpc-keepalive-min-time", "grpc-keepalive-timeout", "heartbeat-interval", "max-concurrent-streams", "max-learners",
			"max-request-bytes", "max-snapshots", "max-txn-ops", "max-wals", "proxy-dial-timeout", "proxy-failure-wait",
			"proxy-read-timeout", "proxy-refresh-interval", "proxy-write-timeout", "quota-backend-bytes", "self-signed-cert-validity",
			"snapshot-catchup-entries", "snapshot-count", "warning-apply-duration", "warning-unary-request-duration",
			"watch-progress-notify-interval",
		}},
		{isList, []string{"cipher-suites", "log-outputs"}},
		{isMapping, []string{"client-transport-security", "discovery-config", "peer-transport-security", "socket-options"}},
	}
}

// fileKey finds a top-level key of the configuration file. encoding/json takes keys in any case.
func fileKey(key string) (kind, bool) {
	for _, group := range fileKeys() {
		if containsFold(group.keys, key) {
			return group.kind, true
		}
	}
	return "", false
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(item string) bool { return strings.EqualFold(item, s) })
}

// securityKeys returns the keys below client-transport-security and peer-transport-security,
// with the flags of the same meaning. The client's allowed-cn has none.
func securityKeys() []struct {
	key, client, peer string
	kind              kind
} {
	return []struct {
		key, client, peer string
		kind              kind
	}{
		{"cert-file", "cert-file", "peer-cert-file", isText},
		{"key-file", "key-file", "peer-key-file", isText},
		{"client-cert-file", "client-cert-file", "peer-client-cert-file", isText},
		{"client-key-file", "client-key-file", "peer-client-key-file", isText},
		{"client-cert-auth", "client-cert-auth", "peer-client-cert-auth", isBoolean},
		{"trusted-ca-file", "trusted-ca-file", "peer-trusted-ca-file", isText},
		{"auto-tls", "auto-tls", "peer-auto-tls", isBoolean},
		{"allowed-cn", "client-cert-allowed-cn", "peer-cert-allowed-cn", isList},
		{"allowed-hostname", "client-cert-allowed-hostname", "peer-cert-allowed-hostname", isList},
		{"skip-client-san-verification", "client-skip-client-san-verification", "peer-skip-client-san-verification", isBoolean},
	}
}
