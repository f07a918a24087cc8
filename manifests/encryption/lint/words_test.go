package lint

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func TestTypedText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"my-very-secret-etcd-passphrase-1", "correct horse battery staple abc", "KubernetesProductionCluster2024!", "thequickbrownfoxjumpsoverthelazy",
		"This is my super secret key 2024", "P4ssw0rdP4ssw0rd!P4ssw0rdP4ssw0r", "s3cr3tk3yf0rkub3rn3t3s3ncrypti0n"[:32], "qwertyuiopasdfghjklzxcvbnm123456",
		"changemechangemechangemechangeme", "CorrectHorseBatteryStapleMountai", "dasistmeingeheimerschluesselabcd", "supersecretpasswordthatnoone", "correcthorsebatterystapl",
		"abcdefghijklmnop0123456789ABCDEF", "summer2019winter2020autumn2021!!", "encryption_key_for_prod_cluster_",
		"lemotdepassesecretdelaproduction", "miclavesecretadeproduccionsegura",
		base64.StdEncoding.EncodeToString([]byte("this is my secret passwd")), hex.EncodeToString([]byte("my secret key 12")),
	} {
		if _, ok := typedBits([]byte(text)); !ok {
			t.Errorf("%q looks random: %.1f of %.1f bits", text, codeLength([]byte(text)), uniformBits([]byte(text)))
		} else if bits, _ := typedBits([]byte(text)); bits > 150 {
			t.Errorf("%q: %d bits", text, bits)
		}
		if len(text) == 32 && traitOf([]byte(text)) == "text" {
			t.Errorf("%q is text", text)
		}
	}
}

// Random characters are never called typed, whatever they were drawn from.
func TestRandomTextIsNotTyped(t *testing.T) {
	t.Parallel()
	const lowers, uppers, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	printable := ""
	for c := byte(' '); c <= '~'; c++ {
		printable += string(c)
	}
	r := rand.New(rand.NewPCG(7, 11))
	for _, alphabet := range []string{lowers, uppers, digits, digits + "abcdef", digits + "ABCDEF", lowers + digits, lowers + uppers + digits, lowers + uppers + digits + "+/", printable} {
		for range 300 {
			text := make([]byte, []int{16, 24, 32}[r.IntN(3)])
			for i := range text {
				text[i] = alphabet[r.IntN(len(alphabet))]
			}
			if bits, ok := typedBits(text); ok {
				t.Errorf("%q is typed, of %d bits", text, bits)
			}
		}
	}
}
