package collect_test

import (
	"bytes"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// shortPrime are Diffie-Hellman parameters of `openssl dhparam 1024`.
const shortPrime = `-----BEGIN DH PARAMETERS-----
MIGHAoGBAM2EoSbqjj5Oga+asuj742+VFnwWR/IPsVkZoyLSyZi428CwKvQ5BhRo
LkV4cCQ4UV09Tqpr5FMwRrlGeubM2msbs0RCiOp29Y4K6OLOl37Gid+er+ZHvpCH
/upmENPksAYk76eB5cm7BMn3gPGZaV32Y+B3C0lRw7ok0ni2CxpvAgEC
-----END DH PARAMETERS-----
`

// startOpenSSL starts `openssl s_server`, which serves one connection after the other, and
// waits until it listens.
func startOpenSSL(t *testing.T, args ...string) string {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	at := address(etcdtest.FreePort(t))
	cmd := exec.Command(openssl, append([]string{"s_server", "-www", "-accept", at}, args...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s", output.String())
		}
	})
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			_ = c.Close()
			return at
		}
		select {
		case <-ended:
			t.Fatalf("openssl s_server ended: %s", output.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("openssl s_server does not listen")
		}
	}
}

// What etcd cannot be made to agree to, as seen in a server that can.
func TestTLSOfOpenSSL(t *testing.T) {
	s := newSite(t)
	ecdsaKey := []string{"-cert", s.path("server.crt"), "-key", s.path("server.key")}
	s.write(t, "dh.pem", []byte(shortPrime))
	rsaSite := newSite(t)
	rsaSite.serveRSA(t)
	rsaKey := []string{"-cert", rsaSite.path("server.crt"), "-key", rsaSite.path("server.key")}
	for _, c := range []struct {
		name string
		args []string
		want map[string]string
	}{
		{
			name: "strong",
			args: append(ecdsaKey, "-cipher", "ECDHE+AESGCM"),
			want: map[string]string{"tls-post-quantum": "fail no-hybrid-group"},
		},
		{
			name: "no encryption, no proof",
			args: append(rsaKey, "-tls1_2", "-cipher", "NULL-SHA256:ECDHE-RSA-NULL-SHA:AECDH-AES128-SHA:CAMELLIA256-SHA:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"),
			want: map[string]string{
				"tls-post-quantum": "fail no-tls1.3",
				"tls-weak-cipher":  "fail TLS_ECDHE_RSA_WITH_NULL_SHA,TLS_ECDH_anon_WITH_AES_128_CBC_SHA,TLS_RSA_WITH_CAMELLIA_256_CBC_SHA,TLS_RSA_WITH_NULL_SHA256",
			},
		},
		{
			name: "weak suites only",
			args: append(rsaKey, "-tls1_2", "-cipher", "AES128-SHA:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"),
			want: map[string]string{
				"tls-post-quantum": "fail no-tls1.3",
				"tls-weak-cipher":  "fail TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,TLS_RSA_WITH_AES_128_CBC_SHA",
			},
		},
		{
			name: "TLS 1.3 with a short tag",
			args: append(ecdsaKey, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_8_SHA256", "-cipher", "DEFAULT:@SECLEVEL=0"),
			want: map[string]string{"tls-post-quantum": "fail no-hybrid-group", "tls-weak-cipher": "fail TLS_AES_128_CCM_8_SHA256"},
		},
		{
			name: "weak curves, RSA key",
			args: append(rsaKey, "-tls1_2", "-cipher", "ECDHE+AESGCM:@SECLEVEL=0", "-groups", "P-256:secp224r1:P-192:sect163k1"),
			want: map[string]string{"tls-post-quantum": "fail no-tls1.3", "tls-key-exchange": "fail secp192r1,secp224r1,sect163k1"},
		},
		{
			// OpenSSL wants the curve of the key among the client's groups, so weak groups alone are refused.
			name: "weak curves, ECDSA key",
			args: append(ecdsaKey, "-tls1_2", "-cipher", "ECDHE+AESGCM:@SECLEVEL=0", "-groups", "P-256:secp224r1"),
			want: map[string]string{"tls-post-quantum": "fail no-tls1.3", "tls-key-exchange": "fail secp224r1"},
		},
		{
			// crypto/tls has no such suite, so its handshakes get no certificate. A single ClientHello does.
			name: "a prime of 1024 bits",
			args: append(rsaKey, "-tls1_2", "-cipher", "DHE+AESGCM:@SECLEVEL=0", "-dhparam", s.path("dh.pem")),
			want: map[string]string{"tls-post-quantum": "fail no-tls1.3", "tls-key-exchange": "fail short-prime"},
		},
		{
			name: "a prime of 2048 bits beside curves",
			args: append(rsaKey, "-tls1_2", "-cipher", "ECDHE+AESGCM:DHE+AESGCM"),
			want: map[string]string{"tls-post-quantum": "fail no-tls1.3"},
		},
		{
			name: "TLS 1.1 only",
			args: append(rsaKey, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
			want: map[string]string{
				"tls-post-quantum": "fail no-tls1.3", "tls-weak-cipher": "unknown neither", "tls-key-exchange": "unknown neither",
				"tls-renegotiation": "unknown accepts TLS 1.1", "tls-compression": "unknown accepts TLS 1.1",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := startOpenSSL(t, c.args...)
			compareTLS(t, auditPort(t, at, time.Minute), c.want)
		})
	}
}
