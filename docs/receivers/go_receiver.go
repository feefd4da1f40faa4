// Receives Prism's webhooks with Go alone: go run go_receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
)

// Two while one takes over from the other: what either signed is taken.
var secrets [][]byte

func signed(body []byte, given string) bool {
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		expected := "sha256=" + hex.EncodeToString(mac.Sum(nil))
		// In constant time: how long it takes must not tell how much of a guess is right.
		if hmac.Equal([]byte(expected), []byte(given)) {
			return true
		}
	}
	return false
}

func receive(w http.ResponseWriter, r *http.Request) {
	// The bytes as they came: JSON that was parsed and written again has another signature.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body did not come whole", http.StatusBadRequest)
		return
	}
	if !signed(body, r.Header.Get("X-Prism-Signature")) {
		http.Error(w, "wrong signature", http.StatusUnauthorized)
		return
	}
	// Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
	// X-Prism-Delivery is the same then.
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"received": true}`)
}

func main() {
	for _, name := range []string{"PRISM_WEBHOOK_SECRET", "PRISM_WEBHOOK_OTHER_SECRET"} {
		if secret := os.Getenv(name); secret != "" {
			secrets = append(secrets, []byte(secret))
		}
	}
	if len(secrets) == 0 {
		log.Fatal("PRISM_WEBHOOK_SECRET is not set")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "9000"
	}
	http.HandleFunc("/webhook", receive)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
