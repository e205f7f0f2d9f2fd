// A relay on pin 13, switched by commands from headwater: code 1, payload one byte, 0 or 1. Each command is executed at most once.
#include <headwater_bridge.h>

enum { RELAY = 13, SWITCH = 1 };

static const char *const channels[] = {"relay"};
static const uint8_t uid[] = {'u', 'n', 'o', 4};  // Give each board its own.
static uint8_t queue[256], tx[HWB_TX_SIZE(128)], rx[HWB_BODY_MIN], command[16];
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
  pinMode(RELAY, OUTPUT);
  Serial.begin(115200);
  config.read = readLine;
  config.write = writeLine;
  config.millis = clock;
  config.uid = uid;
  config.uid_length = sizeof uid;
  config.name = "relay";
  config.firmware = "1.0.0";
  config.channels = channels;
  config.channel_count = 1;
  config.queue = queue;
  config.queue_size = sizeof queue;
  config.tx = tx;
  config.tx_size = sizeof tx;
  config.rx = rx;
  config.rx_size = sizeof rx;
  config.command = command;
  config.command_size = sizeof command;
  config.nonce = analogRead(A0) * 2654435761UL + micros();
  if (hwb_init(&bridge, &config) < 0) {
    for (;;) {
    }
  }
}

void loop() {
  uint8_t code;
  const uint8_t *data;
  hwb_poll(&bridge);
  int length = hwb_command(&bridge, &code, &data);
  if (length < 0) return;
  if (code != SWITCH) {
    hwb_answer(&bridge, HWB_UNKNOWN_CODE, NULL, 0);
  } else if (length != 1 || data[0] > 1) {
    hwb_answer(&bridge, HWB_BAD_PAYLOAD, NULL, 0);
  } else {
    uint8_t state = data[0];
    digitalWrite(RELAY, state ? HIGH : LOW);
    hwb_send(&bridge, 0, state ? "on" : "off", state ? 2 : 3);
    hwb_answer(&bridge, HWB_DONE, &state, 1);
  }
}
