// A node on an RS-485 pair: address 1 to 32, driver enable on pin 2. It speaks only when the gateway gives it the line.
#include <headwater_bridge.h>

enum { DRIVER_ENABLE = 2, ADDRESS = 7 };

static const char *const channels[] = {"level"};
static const uint8_t uid[] = {'u', 'n', 'o', 3};  // Give each board its own.
static uint8_t queue[384], tx[HWB_TX_SIZE(128)], rx[HWB_BODY_MIN];
static hwb_config_t config;
static hwb_t bridge;

static size_t readLine(void *, uint8_t *buffer, size_t size) {
  size_t count = 0;
  while (count < size && Serial.available() > 0) buffer[count++] = (uint8_t)Serial.read();
  return count;
}

// Waits until the last bit is on the line, since the driver has to be switched off then.
static size_t writeLine(void *, const uint8_t *bytes, size_t size) {
  digitalWrite(DRIVER_ENABLE, HIGH);
  size_t count = Serial.write(bytes, size);
  Serial.flush();
  digitalWrite(DRIVER_ENABLE, LOW);
  return count;
}

static uint32_t clock(void *) { return millis(); }

void setup() {
  pinMode(DRIVER_ENABLE, OUTPUT);
  Serial.begin(115200);
  config.read = readLine;
  config.write = writeLine;
  config.millis = clock;
  config.uid = uid;
  config.uid_length = sizeof uid;
  config.name = "rs485-node";
  config.firmware = "1.0.0";
  config.channels = channels;
  config.channel_count = 1;
  config.queue = queue;
  config.queue_size = sizeof queue;
  config.tx = tx;
  config.tx_size = sizeof tx;
  config.rx = rx;
  config.rx_size = sizeof rx;
  config.address = ADDRESS;
  config.drop_oldest = 1;
  config.nonce = analogRead(A0) * 2654435761UL + micros();
  if (hwb_init(&bridge, &config) < 0) {
    for (;;) {
    }
  }
}

void loop() {
  static uint32_t last;
  if (millis() - last >= 1000) {
    char text[8];
    last += 1000;
    itoa(analogRead(A1), text, 10);
    hwb_send(&bridge, 0, text, strlen(text));
  }
  hwb_poll(&bridge);  // At least each 5 ms: the line has to be taken within 20.
}
