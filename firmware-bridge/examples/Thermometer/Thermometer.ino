// A thermometer on the board's serial port: a reading each second, kept in RAM until headwater has it in its log.
#include <headwater_bridge.h>

static const char *const channels[] = {"temperature"};
static const uint8_t uid[] = {'u', 'n', 'o', 1};  // Give each board its own: the chip of an Uno has no number.
static uint8_t queue[512], tx[HWB_TX_SIZE(128)], rx[HWB_BODY_MIN];
static hwb_config_t config;
static hwb_t bridge;

static size_t readLine(void *, uint8_t *buffer, size_t size) {
  size_t count = 0;
  while (count < size && Serial.available() > 0) buffer[count++] = (uint8_t)Serial.read();
  return count;
}

static size_t writeLine(void *, const uint8_t *bytes, size_t size) {
  size_t room = (size_t)Serial.availableForWrite();
  return Serial.write(bytes, size < room ? size : room);
}

static uint32_t clock(void *) { return millis(); }

void setup() {
  Serial.begin(115200);
  config.read = readLine;
  config.write = writeLine;
  config.millis = clock;
  config.uid = uid;
  config.uid_length = sizeof uid;
  config.name = "thermometer";
  config.firmware = "1.0.0";
  config.channels = channels;
  config.channel_count = 1;
  config.queue = queue;
  config.queue_size = sizeof queue;
  config.tx = tx;
  config.tx_size = sizeof tx;
  config.rx = rx;
  config.rx_size = sizeof rx;
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
    itoa(analogRead(A0), text, 10);
    hwb_send(&bridge, 0, text, strlen(text));
  }
  hwb_poll(&bridge);
}
