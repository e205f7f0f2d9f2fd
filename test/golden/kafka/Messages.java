// Prints one line for each API, direction and version that Kafka's own message classes know: the name, the version,
// the bytes of a message with every field filled, and the same message as JSON. Made with
//
//   java -cp '.parts/kafka/lib/*' test/golden/kafka/Messages.java > test/golden/kafka/messages-4.3.1.txt
//
// The bytes are written from the protocol's schema, read by the generated class of that message, and written again by
// it; the program stops if the two differ.

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

public class Messages {
    private static final String[] NAMES = {
        "Produce", "Fetch", "ListOffsets", "Metadata", "FindCoordinator", "ApiVersions", "CreateTopics",
        "DeleteTopics", "DeleteRecords", "InitProducerId", "DescribeConfigs", "DescribeCluster", "DescribeProducers",
        "OffsetCommit", "OffsetFetch", "JoinGroup", "Heartbeat", "LeaveGroup", "SyncGroup", "DescribeGroups",
        "ListGroups", "OffsetForLeaderEpoch", "DeleteGroups", "OffsetDelete",
        "SaslHandshake", "SaslAuthenticate",
        "DescribeAcls", "CreateAcls", "DeleteAcls", "AlterConfigs", "DescribeLogDirs", "CreatePartitions",
        "IncrementalAlterConfigs", "ListPartitionReassignments",
        "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn", "WriteTxnMarkers", "TxnOffsetCommit", "DescribeTransactions",
        "ListTransactions", "DescribeClientQuotas",
        "DescribeUserScramCredentials", "ListConfigResources", "DescribeTopicPartitions",
        "ConsumerGroupHeartbeat", "ConsumerGroupDescribe"
    };
    private static int count;

    public static void main(String[] arguments) throws Exception {
        for (String name : NAMES) {
            for (String direction : new String[] {"Request", "Response"}) print(name + direction);
        }
    }

    private static void print(String name) throws Exception {
        Class<?> type = Class.forName("org.apache.kafka.common.message." + name + "Data");
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        for (short version = 0; version < schemas.length; version++) {
            if (schemas[version] == null) continue;
            count = 0;
            for (int fill = 0; fill < 2; fill++) {
                Struct struct = (Struct) value(schemas[version], fill);
                ByteBuffer bytes = ByteBuffer.allocate(schemas[version].sizeOf(struct));
                schemas[version].write(bytes, struct);
                String hex = HexFormat.of().formatHex(bytes.array());
                ApiMessage message = (ApiMessage) type.getConstructor().newInstance();
                bytes.flip();
                message.read(new ByteBufferAccessor(bytes), version);
                ByteBuffer again = MessageUtil.toByteBufferAccessor(message, version).buffer();
                byte[] copy = new byte[again.remaining()];
                again.get(copy);
                if (!hex.equals(HexFormat.of().formatHex(copy))) throw new IllegalStateException(name + version);
                Object json = Class.forName(type.getName() + "JsonConverter")
                    .getMethod("write", type, short.class).invoke(null, message, version);
                System.out.println(name + " " + version + " " + hex + " " + json);
            }
        }
    }

    /** Fill 0 gives small values, two elements, no nulls; fill 1 nulls where allowed, else one element. */
    private static Object value(Type type, int fill) {
        if (fill == 1 && type.isNullable()) return null;
        if (type instanceof Schema schema) {
            Struct struct = new Struct(schema);
            for (BoundField field : schema.fields()) struct.set(field, value(field.def.type, fill));
            return struct;
        }
        if (type.isArray()) {
            Object[] elements = new Object[2 - fill];
            for (int i = 0; i < elements.length; i++) elements[i] = value(type.arrayElementType().get(), fill);
            return elements;
        }
        if (type instanceof TaggedFields) return tagged((TaggedFields) type, fill);
        count++;
        return switch (type.toString()) {
            case "BOOLEAN" -> fill == 0;
            case "INT8" -> (byte) (fill == 0 ? count : -count);
            case "INT16" -> (short) (fill == 0 ? count + 300 : -count);
            case "UINT16" -> count;
            case "INT32" -> fill == 0 ? count + 70000 : -count;
            case "INT64" -> fill == 0 ? count + 1L * (1L << 40) : -count;
            case "FLOAT64" -> count + 0.5;
            case "UUID" -> new Uuid(count, fill);
            case "STRING", "COMPACT_STRING", "NULLABLE_STRING", "COMPACT_NULLABLE_STRING" ->
                fill == 0 ? "s\u00e9" + count : "";
            case "BYTES", "COMPACT_BYTES", "NULLABLE_BYTES", "COMPACT_NULLABLE_BYTES" ->
                ByteBuffer.wrap(new byte[] {1, 2, (byte) count});
            case "RECORDS", "COMPACT_RECORDS", "NULLABLE_RECORDS", "COMPACT_NULLABLE_RECORDS" ->
                MemoryRecords.readableRecords(ByteBuffer.wrap(new byte[] {9, 8, (byte) count}));
            default -> throw new IllegalStateException(type.toString());
        };
    }

    private static Object tagged(TaggedFields type, int fill) {
        NavigableMap<Integer, Object> values = new TreeMap<>();
        if (fill == 1) return values;
        for (var field : type.fields().entrySet()) values.put(field.getKey(), value(field.getValue().type, fill));
        return values;
    }
}
